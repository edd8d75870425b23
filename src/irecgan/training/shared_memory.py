"""Numbers of processes on one machine, added up in memory that they share: gloo would send them through sockets.

Every process copies its numbers into a row of its own and, when all have, adds up the rows: in the order of ranks, so
that a sum is the same in all processes. Gloo only tells when all are ready, and when one of them is gone.
"""

import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

SHARED = Path("/dev/shm")
"""Where files are memory."""
_BYTES = 4  # of a number
_TURNS = 2  # sums whose rows are apart: who is early writes where nobody reads any more

FEW = 4  # processes that each add up everything; of more, each adds up a part for all


class SharedMemory:
    """Memory of the processes of a group that are all on one machine; every method is called by all of them.

    It has no name once all have found it, so that nothing of it is left however they end.
    """

    def __init__(self, rank: int, size: int) -> None:
        self._rank, self._size = rank, size
        self._rows = torch.empty(_TURNS, size, 0)
        self._turn = 0

    def reserve(self, numbers: int) -> bool:
        """Whether there is room to sum as many float32 ``numbers`` at once, from now on."""
        if numbers <= self._rows.shape[2]:
            return True
        cells = _TURNS * self._size * numbers
        path = SHARED / f"irecgan-{_of_first(secrets.randbits(62)):x}"
        try:
            made = self._rank != 0 or _make(path, _BYTES * cells)
            dist.barrier()
            if not _in_all(made and path.exists()):
                return False
            memory = torch.from_file(str(path), shared=True, size=cells, dtype=torch.float32)
            dist.barrier()
        finally:
            if self._rank == 0:
                path.unlink(missing_ok=True)
        self._rows = memory.view(_TURNS, self._size, numbers)
        return True

    def sum(self, values: Sequence[Tensor], total: Tensor) -> None:
        """Put the sum over the processes of ``values``, flat and one after the other, into ``total`` (R,).

        R is no larger than what was reserved.
        """
        rows = self._rows[self._turn, :, : len(total)]
        self._turn = (self._turn + 1) % _TURNS
        parts = rows[self._rank].split([value.numel() for value in values])
        torch._foreach_copy_([part.view_as(value) for part, value in zip(parts, values, strict=True)], list(values))
        dist.barrier()
        if self._size > FEW:
            share = -(-len(total) // self._size)
            _add_up(rows[:, self._rank * share : (self._rank + 1) * share], rows[0, self._rank * share :])
            dist.barrier()
            rows = rows[:1]
        _add_up(rows, total)


def _add_up(rows: Tensor, total: Tensor) -> None:
    """Put the sum of ``rows`` (N, R) into the first R of ``total``, which may be those of the first row."""
    total = total[: rows.shape[1]]
    if len(rows) == 1:
        total.copy_(rows[0])
        return
    torch.add(rows[0], rows[1], out=total)
    for row in rows[2:]:
        total.add_(row)


def _make(path: Path, size: int) -> bool:
    """Make a file of ``size`` bytes, all of them there; whether there was room."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)
    except OSError as error:
        logging.getLogger("irecgan").warning(
            "%s: no room for %.0f MB (%s); gradients go through sockets, which is slower",
            path.parent,
            size / 1e6,
            error.strerror,
        )
        return False
    return True


def _of_first(number: int) -> int:
    value = torch.tensor([number])
    dist.broadcast(value, 0)
    return int(value)


def _in_all(truth: bool) -> bool:
    value = torch.tensor([float(truth)])
    dist.all_reduce(value, dist.ReduceOp.MIN)
    return bool(value)
