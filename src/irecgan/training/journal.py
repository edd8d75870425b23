"""What has been done of a unit of training, so that one that takes hours can go on in its middle."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from irecgan.data.batch import Sessions

Metrics = dict[str, float]
Name = tuple[str | int, ...]


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
    """

    def __init__(self, minutes: float | None = None) -> None:
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

    def epoch(self, batches: Sequence[Tensor], step: Callable[[Tensor], float]) -> float:
        """``step`` on each of ``batches`` that is left of the part under way; the sum over all of its values."""
        account = self.account
        for rows in batches[account.batches :]:
            account.total += step(rows)
            account.batches += 1
            if self._every is not None and time.monotonic() - self._saved >= self._every:
                account.drawn = None if self._drawing is None else self._drawing.get_state()
                self.save()
                self._saved = time.monotonic()
        return account.total
