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

_FIELDS = {"item": torch.int32, "click": torch.int32, "position": torch.int32, "touched": torch.int32} | {
    "touches": torch.int32,
    "reward": torch.float32,
    "propensity": torch.float32,
    "steps": torch.int64,
    "slate_sizes": torch.int64,
}
_CONTEXT = {"sizes": torch.int32, "feature": torch.int32, "weight": torch.float32}
BLOCK = 4_096
"""Sessions that stay together when stored ones are shuffled."""


def stored(parts: Iterable[Sessions], directory: Path, block: int = BLOCK) -> Sessions:
    """Logged sessions, written one part after the other to files without a name and then read by mapping them.

    They are shuffled block by block (`Sessions.shuffled`). The files lie in ``directory``, which must exist; nothing of
    them is left however the process ends. 10,000,000 steps with slates of 10 take 0.8 GB of disk. Scores are not kept:
    those of logged sessions are 1. Raises OSError, which names the directory, where the disk is full.
    """
    catalogue_size, touched, touches, context = 0, True, True, True
    with file_errors(directory), ExitStack() as stack:
        files = {name: stack.enter_context(tempfile.TemporaryFile(dir=directory)) for name in _FIELDS | _CONTEXT}
        for part in parts:
            catalogue_size, touched = part.catalogue_size, touched and part.touched is not None
            touches, context = touches and part.touches is not None, context and part.context is not None
            for fields, rows in ((_FIELDS, part), (_CONTEXT, part.context)):
                for name, kind in fields.items():
                    values = getattr(rows, name, None)
                    if values is not None:
                        files[name].write(memoryview(values.to(kind).numpy()))
        found = {name: _mapped(file, (_FIELDS | _CONTEXT)[name]) for name, file in files.items()}
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
        touched=found["touched"] if touched else None,
        touches=found["touches"].view(-1, 2) if touches else None,
        context=SparseRows(offsets(found["sizes"].long()), found["feature"], found["weight"]) if context else None,
        block=block,
    )


def _mapped(file: IO[bytes], kind: torch.dtype) -> Tensor:
    """What was written to ``file``, read where it is looked at."""
    file.flush()
    if not file.tell():
        return torch.empty(0, dtype=kind)
    # Copied on write, which nobody does: torch warns of tensors over memory that cannot be written.
    return torch.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=kind)
