"""Where the arithmetic is done."""

import os

import torch

from irecgan.errors import UserError

DEVICES = ("cpu", "cuda", "auto")


def find_device(name: str) -> torch.device:
    """The device called ``name``: ``cpu``, ``cuda`` (the current GPU), or ``auto`` (a GPU where there is one).

    >>> find_device("cpu")
    device(type='cpu')

    Raises UserError when there is no such device.
    """
    if name not in DEVICES:
        raise UserError(f"--device {name}: no such device; expected one of {', '.join(DEVICES)}")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(f"--device {name}: found no CUDA device (torch {torch.__version__}); expected cpu or auto")
    local = int(os.environ.get("LOCAL_RANK", "-1"))  # of a launch by torchrun: each process takes a GPU of its own
    return torch.device("cuda", local if 0 <= local < torch.cuda.device_count() else torch.cuda.current_device())
