"""Encoded sessions on disk: as many as there are, in the memory that the kernel can spare for them."""

import mmap
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.data.ragged import offsets
from irecgan.data.sparse import SparseRows
from irecgan.files import file_errors

_FIELDS = {"item": torch.int32, "click": torch.int32, "position": torch.int32} | {
    "reward": torch.float32,
    "propensity": torch.float32,
    "steps": torch.int64,
    "slate_sizes": torch.int64,
}
_OPTIONAL = {"touched": torch.int32, "visits": torch.int32}
_ROWS = ("context", "looks")
_OF_ROWS = {"sizes": torch.int32, "feature": torch.int32, "weight": torch.float32}
_FILES = _FIELDS | _OPTIONAL | {f"{rows}.{name}": kind for rows in _ROWS for name, kind in _OF_ROWS.items()}
BLOCK = 4_096
"""Sessions that stay together when stored ones are shuffled."""


def stored(parts: Iterable[Sessions], directory: Path, block: int = BLOCK) -> Sessions:
    """Logged sessions, written one part after the other to files without a name and then read by mapping them.

    They are shuffled block by block (`Sessions.shuffled`). The files lie in ``directory``, which must exist; nothing of
    them is left however the process ends. 10,000,000 steps with slates of 10 take 0.8 GB of disk. Scores are not kept:
    those of logged sessions are 1. Raises OSError, which names the directory, where the disk is full.
    """
    catalogue_size, there = 0, {*_OPTIONAL, *_ROWS}
    with file_errors(directory), ExitStack() as stack:
        files = {name: stack.enter_context(tempfile.TemporaryFile(dir=directory)) for name in _FILES}
        for part in parts:
            catalogue_size = part.catalogue_size
            there = {name for name in there if getattr(part, name) is not None}
            for name, kind in _FILES.items():
                values = _of(part, name)
                if values is not None:
                    files[name].write(values.to(kind).numpy().data)
        found = {name: _mapped(file, _FILES[name]) for name, file in files.items()}

    def rows(name: str) -> SparseRows | None:
        sizes, feature, weight = (found[f"{name}.{each}"] for each in _OF_ROWS)
        return SparseRows(offsets(sizes.long()), feature, weight) if name in there else None

    return Sessions(
        step_start=offsets(found["steps"]),
        item_start=offsets(found["slate_sizes"]),
        item=found["item"],
        click=found["click"],
        position=found["position"],
        reward=found["reward"],
        propensity=found["propensity"],
        score=torch.ones(1).expand(len(found["click"])),
        catalogue_size=catalogue_size,
        touched=found["touched"] if "touched" in there else None,
        visits=found["visits"] if "visits" in there else None,
        looks=rows("looks"),
        context=rows("context"),
        block=block,
    )


def _of(sessions: Sessions, name: str) -> Tensor | None:
    """The field ``name``, ``a.b`` of its field a; None where there is none."""
    rows, _, field = name.rpartition(".")
    values: Tensor | None = getattr(getattr(sessions, rows) if rows else sessions, field, None)
    return values


def _mapped(file: IO[bytes], kind: torch.dtype) -> Tensor:
    """What was written to ``file``, read where it is looked at."""
    file.flush()
    if not file.tell():
        return torch.empty(0, dtype=kind)
    # Copied on write, which nobody does: torch warns of tensors over memory that cannot be written.
    return torch.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=kind)
