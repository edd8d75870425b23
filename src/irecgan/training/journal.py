"""What has been done of a unit of training, so that one that takes hours can go on in its middle."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.training.distributed import ALONE, Processes

Metrics = dict[str, float]
Name = tuple[str | int, ...]

_TOGETHER = 16
"""Batches after which several processes ask the first one whether it is time to write."""


@dataclass
class Account:
    """The parts of a unit that are done, and how far the one under way has come."""

    done: dict[str, Metrics] = field(default_factory=dict)
    batches: int = 0  # of the part under way
    total: float = 0.0  # of their losses, each times its sessions
    made: Metrics = field(default_factory=dict)  # what was measured on the sessions generated for the part
    drawn: Tensor | None = field(default=None, repr=False)  # where the generator that draws negatives stands
    generated: Sessions | None = field(default=None, repr=False)  # for the part, by the weights at its beginning


class Journal:
    """Keeps an account of a unit from `begin` on, and has it saved every ``minutes`` of an epoch if that is not None.

    A unit asks here for everything that would come out otherwise if it were done again: its epochs, which change
    weights, and generated sessions, which were made by weights that are gone. All else follows from its name.
    Of several ``processes`` each keeps one, and they save at the same batch.
    """

    def __init__(self, minutes: float | None = None, processes: Processes = ALONE) -> None:
        self.processes = processes
        self.account = Account()
        self._keeps = False
        self._drawing: torch.Generator | None = None
        self.save: Callable[[], None] = lambda: None
        self._every = None if minutes is None else 60 * minutes
        self._saved = time.monotonic()

    def begin(self, account: Account | None = None) -> None:
        """A unit begins, or goes on from ``account``."""
        self._keeps, self.account = True, account or Account()
        self._saved = time.monotonic()

    def part(self, name: Name, work: Callable[[], Metrics]) -> Metrics:
        """What ``work`` measures, which is done only once; one part ends before the next begins."""
        if not self._keeps:
            self.account = Account()
            return work()
        key = "/".join(map(str, name))
        if key not in self.account.done:
            done = self.account.done | {key: work()}
            self.account = Account(done)
        return self.account.done[key]

    def generated(self, make: Callable[[], tuple[Sessions, Metrics]]) -> tuple[Sessions, Metrics]:
        """The sessions that ``make`` gives for the part under way, and what is measured on them."""
        if self.account.generated is None:
            self.account.generated, self.account.made = make()
        return self.account.generated, self.account.made

    def draws(self, generator: torch.Generator) -> None:
        """The epoch that follows draws from ``generator``; it goes on where an interrupted one stood."""
        self._drawing = generator
        if self.account.drawn is not None:
            generator.set_state(self.account.drawn)

    def epoch(self, batches: Sequence[Tensor], step: Callable[[Tensor], Tensor]) -> float:
        """``step`` on each of ``batches`` that is left of the part under way; the sum over all of its values.

        Of several processes, the sum over all of them.
        """
        account, processes = self.account, self.processes
        begun = account.total if processes.first else 0.0
        total = torch.tensor(begun, dtype=torch.float64, device=processes.device)
        for rows in batches[account.batches :]:
            total = total + step(rows)
            account.batches += 1
            if self._time_to_save(account.batches):
                account.total = float(processes.sum(total))
                account.drawn = None if self._drawing is None else self._drawing.get_state()
                self.save()
                self._saved = time.monotonic()
        account.total = float(processes.sum(total))
        return account.total

    def _time_to_save(self, batches: int) -> bool:
        """Whether so many minutes have passed, by the clock of the first process."""
        if self._every is None or (self.processes.size > 1 and batches % _TOGETHER):
            return False
        return self.processes.first_does(lambda: time.monotonic() - self._saved >= (self._every or 0.0))
