"""The processes that train together: their group as it is found, whoever launched them."""

import gc
import hashlib
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from irecgan.errors import UserError
from irecgan.training.gradients import (
    Gradients,
    RowGradients,
    SentGradients,
    SharedGradients,
    numbers,
    own_gradients,
    summed_whole,
)
from irecgan.training.shared_memory import SharedMemory

_LAUNCH = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun, and launchers like it, tell every process."""
_CPU = torch.device("cpu")
_WAIT = 10.0  # minutes; torch would wait for 30


class LostProcessError(UserError):
    """Another process of the training is gone, or does not answer; what was written last is whole."""


@dataclass(frozen=True)
class Processes:
    """``size`` processes, of which this is number ``rank``: the same weights in all, a share of every batch in each."""

    rank: int = 0
    size: int = 1
    device: torch.device = _CPU
    memory: SharedMemory | None = None  # of them all; None on several machines, or on GPUs

    @classmethod
    def found(cls, device: torch.device) -> "Processes":
        """Those of torch's default process group; this one alone where there is none."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls(device=device)
        rank, size = dist.get_rank(), dist.get_world_size()
        return cls(rank, size, device, SharedMemory(rank, size) if device.type == "cpu" and size > 1 else None)

    @property
    def first(self) -> bool:
        """Whether this process writes what all have in common."""
        return self.rank == 0

    @property
    def branch(self) -> tuple[int, ...]:
        """What tells this process's random streams from those of others; nothing for a single one."""
        return (self.rank,) if self.size > 1 else ()

    def share(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, float]:
        """The part of a batch of ``rows`` (B,) that falls to this process, and its part of the mean over the batch.

        ``lengths`` (B,) are those of the rows. Every process takes neighbours in their order, about as many steps as
        the others: many short sessions or few long ones, so that little is padding. A process that would have none
        takes a row of weight 0: all take every step, and draw the same negatives.
        """
        if self.size == 1:
            return rows, 1.0
        rising, order = lengths.sort(stable=True)
        done = rising.cumsum(0)  # (B,) steps up to each row
        part = ((done - rising / 2) * self.size / done[-1]).long()  # (B,) by the middle of each row
        mine = rows[order[part == self.rank]]
        return (mine, len(mine) / len(rows)) if len(mine) else (rows[:1], 0.0)

    def portion(self, count: int) -> int:
        """How many of ``count`` things this process makes; together they make as many or, of very few, more."""
        return max(1, count // self.size + (self.rank < count % self.size))

    def make_room(self, parameters: Sequence[Sequence[nn.Parameter]]) -> None:
        """Share memory for the gradients of the largest of several networks' ``parameters``, which learn by turns."""
        if self.memory is not None and parameters:
            self.memory.reserve(max(map(numbers, parameters)))

    def gradients(self, model: nn.Module, tables: Sequence[nn.Parameter] = ()) -> Gradients:
        """How ``model`` gets the gradients of what all processes lose; those of its ``tables`` are sparse."""
        if self.size == 1:
            return own_gradients
        parameters = summed_whole(model, tables)
        whole: Gradients
        if self.memory is not None and self.memory.reserve(numbers(parameters)):
            whole = SharedGradients(parameters, self.memory)
        else:
            whole = SentGradients(model, tables, self.device, self.size)
        return RowGradients(whole, tables, self.gather_all) if tables else whole

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.size > 1:
            value = value.to(self.device, copy=True)
            dist.all_reduce(value)
        return value

    def gather(self, values: Tensor) -> Tensor:
        """The numbers (R,) of all processes, whatever R is in each, in the order of ranks and on the CPU."""
        return self.gather_all([values])[0]

    def gather_all(self, values: Sequence[Tensor]) -> list[Tensor]:
        """As `gather`, of each of ``values``: they travel together."""
        if self.size == 1:
            return [value.cpu() for value in values]
        data = torch.cat([value.contiguous().view(torch.uint8) for value in values]).to(self.device)
        sizes = torch.tensor([value.numel() * value.element_size() for value in values], device=self.device)
        counts = torch.stack(self._of_all(sizes)).cpu()  # (N, V) bytes
        lengths = counts.sum(1)
        padded = data.new_zeros(int(lengths.max()))
        padded[: len(data)] = data
        parts = [
            part[:length].cpu().split(count)
            for part, length, count in zip(self._of_all(padded), lengths.tolist(), counts.tolist(), strict=True)
        ]
        return [torch.cat([part[at] for part in parts]).view(value.dtype) for at, value in enumerate(values)]

    def _of_all(self, value: Tensor) -> list[Tensor]:
        """The tensors of all processes, which have one shape."""
        parts = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(parts, value)
        return parts

    def agreed(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The ``numbers`` as the first process has them: what is decided by them is decided alike."""
        if self.size == 1:
            return dict(numbers)
        values = torch.tensor(list(numbers.values()), dtype=torch.float64, device=self.device)
        dist.broadcast(values, 0)
        return dict(zip(numbers, values.tolist(), strict=True))

    def expect_same(self, facts: Sequence[tuple[str, str]]) -> None:
        """Raise UserError where the processes differ in one of ``facts``, pairs of a name and what was found."""
        for name, found in facts if self.size > 1 else ():
            digest = int.from_bytes(hashlib.sha256(found.encode()).digest()[:8], "big") >> 1
            values = self.gather(torch.tensor([digest]))
            if len(values.unique()) > 1:
                raise UserError(
                    f"{name}: found {found!r} in process {self.rank} of {self.size} and something else in another; "
                    "expected the same in all; several machines need a file system that they share"
                )

    def first_does(self, work: Callable[[], bool]) -> bool:
        """What ``work`` gives in the first process, which alone does it; what it raises is raised in all."""
        if self.size == 1:
            return work()
        told, error, answer = "", None, False
        if self.first:
            try:
                answer = work()
            except (UserError, OSError) as found:
                error, told = found, str(found)
        text = self._told(told.encode())
        if error is not None:
            raise error
        if text:
            raise UserError(text.decode())
        return bool(self.sum(torch.tensor(float(answer))))

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            self.sum(torch.zeros(1))

    def _told(self, text: bytes) -> bytes:
        """``text`` as the first process has it."""
        length = self.sum(torch.tensor(len(text) if self.first else 0))
        letters = torch.zeros(int(length), dtype=torch.uint8, device=self.device)
        if self.first and text:
            letters.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        if len(letters):
            dist.broadcast(letters, 0)
        return bytes(letters.tolist())


ALONE = Processes()
"""A training in this process."""


@contextmanager
def process_group(device: torch.device, wait: float = _WAIT) -> Iterator[Processes]:
    """The group of whoever made one, that of the launch by torchrun, or this process alone.

    Raises LostProcessError where another process ends before its work is done, or does not answer within ``wait``
    minutes (in a group that was there already, within those of the group); UserError where the others of a launch
    cannot be reached.
    """
    if launched() and not dist.is_initialized():
        _join(device, wait)
        try:
            with _losses_told():
                yield Processes.found(device)
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            gc.collect()  # what still held the group would end after it, and abort the process
            dist.destroy_process_group()
    else:
        with _losses_told():
            yield Processes.found(device)


def launched() -> int:
    """The number of processes that a launcher like torchrun says it started; 0 where there is none, or no other."""
    size = int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _LAUNCH) else 0
    return size if size > 1 else 0


def _join(device: torch.device, wait: float) -> None:
    try:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=wait))
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(f"torchrun: the other processes cannot be reached at {where} ({_first_line(error)})") from None


@contextmanager
def _losses_told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "nccl" in str(error).lower()):
            raise
        reason = _first_line(error)
        late = re.search("timed out|timeout", reason, re.IGNORECASE)
        what = "does not answer within wait_minutes" if late else "is gone"
        raise LostProcessError(f"another process of the training {what} ({reason}); go on with --resume") from None


def _first_line(error: Exception) -> str:
    """What torch says first, without the place in its source."""
    lines = re.sub(r"^\[[^]]*\]", "", str(error).strip()).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__
