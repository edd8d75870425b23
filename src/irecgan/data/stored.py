"""Encoded sessions on disk: as many as there are, in the memory that the kernel can spare for them."""

import mmap
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from irecgan.data.batch import Sessions, offsets
from irecgan.files import file_errors

_FIELDS = {"item": torch.int32, "click": torch.int32, "position": torch.int32, "touched": torch.int32} | {
    "reward": torch.float32,
    "propensity": torch.float32,
    "steps": torch.int64,
    "slate_sizes": torch.int64,
}
BLOCK = 4_096
"""Sessions that stay together when stored ones are shuffled."""


class SessionStore:
    """Logged sessions that are written one part after the other to files without a name, and then read by mapping them.

    The files lie in ``directory``, which must exist; nothing of them is left however the process ends. 10,000,000
    steps with slates of 10 take 0.7 GB of disk. Scores are not kept: those of logged sessions are 1.
    """

    def __init__(self, directory: Path, block: int = BLOCK) -> None:
        self._directory = directory
        self._block = block
        with file_errors(directory):
            self._files: dict[str, IO[bytes]] = {k: tempfile.TemporaryFile(dir=directory) for k in _FIELDS}  # noqa: SIM115
        self._catalogue_size = 0
        self._touched = True

    def add(self, part: Sessions) -> None:
        """Append the sessions of ``part``. Raises OSError, which names the directory, where the disk is full."""
        self._catalogue_size = part.catalogue_size
        self._touched &= part.touched is not None
        with file_errors(self._directory):
            for name, kind in _FIELDS.items():
                values = getattr(part, name)
                if values is not None:
                    self._files[name].write(memoryview(values.to(kind).numpy()))

    def sessions(self) -> Sessions:
        """All sessions that were added, shuffled block by block (`Sessions.shuffled`)."""
        with file_errors(self._directory):
            found = {name: _mapped(file, _FIELDS[name]) for name, file in self._files.items()}
        return Sessions(
            step_start=offsets(found["steps"]),
            item_start=offsets(found["slate_sizes"]),
            item=found["item"],
            click=found["click"],
            position=found["position"],
            reward=found["reward"],
            propensity=found["propensity"],
            score=torch.ones(1).expand(len(found["click"])),
            catalogue_size=self._catalogue_size,
            touched=found["touched"] if self._touched else None,
            block=self._block,
        )


def stored(parts: Iterable[Sessions], directory: Path, block: int = BLOCK) -> Sessions:
    """The sessions of ``parts`` in a `SessionStore` in ``directory``."""
    store = SessionStore(directory, block)
    for part in parts:
        store.add(part)
    return store.sessions()


def _mapped(file: IO[bytes], kind: torch.dtype) -> Tensor:
    """What was written to ``file``, read where it is looked at."""
    file.flush()
    if not file.tell():
        return torch.empty(0, dtype=kind)
    # Copied on write, which nobody does: torch warns of tensors over memory that cannot be written.
    return torch.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=kind)
