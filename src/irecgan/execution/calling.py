"""What a worker does with a task, wherever the worker runs."""

import pickle
from collections.abc import Callable
from typing import Any

import torch

import irecgan
from irecgan.errors import UserError
from irecgan.execution.interface import Done, Refused


def packed(work: Callable[[Any], Any]) -> bytes:
    """``work`` as bytes, which are handed to every worker."""
    return pickle.dumps((irecgan.__version__, work))


def call(work: bytes, task: Any) -> Done[Any] | Refused:
    """The `packed` work done on ``task``, on one thread: results do not depend on how many there are."""
    version, function = pickle.loads(work)
    if version != irecgan.__version__:
        return Refused(f"found irecgan {irecgan.__version__} where a worker runs; expected {version} everywhere")
    torch.set_num_threads(1)
    try:
        return Done(function(task))
    except UserError as error:
        return Refused(str(error))
