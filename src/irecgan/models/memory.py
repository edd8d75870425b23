"""What users see in one list each, by a memory that sessions carry along."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from irecgan.data.batch import NOTHING
from irecgan.models.recurrent import RecurrentState
from irecgan.models.views import DECAY, RECENT, Statistics


@dataclass(frozen=True)
class Memory:
    """What B sessions have seen and done, oldest first; index n where a session has less."""

    clicks: Tensor  # (B, T) int64
    rewarded: Tensor  # (B, T) bool, clicks with a reward
    slates: Tensor  # (B, T, K) int64
    nothing: int  # n

    @classmethod
    def start(cls, sessions: int, nothing: int, device: torch.device | str = "cpu") -> "Memory":
        """Of ``sessions`` sessions in which nothing has happened."""
        empty = torch.empty(sessions, 0, 0, dtype=torch.int64, device=device)
        return cls(empty.flatten(1), empty.bool().flatten(1), empty, nothing)

    def __len__(self) -> int:
        return len(self.clicks)

    def take(self, rows: Tensor) -> "Memory":
        """A copy that holds the sessions ``rows`` (R,), which may be on another device."""
        rows = rows.to(self.clicks.device)
        return Memory(self.clicks[rows], self.rewarded[rows], self.slates[rows], self.nothing)

    def join(self, others: Sequence["Memory"]) -> "Memory":
        """The sessions of this memory and then those of ``others``."""
        parts = [self, *others]
        steps, width = max(p.slates.shape[1] for p in parts), max(p.slates.shape[2] for p in parts)
        wide = [part.padded(steps, width) for part in parts]
        return Memory(
            torch.cat([part.clicks for part in wide]),
            torch.cat([part.rewarded for part in wide]),
            torch.cat([part.slates for part in wide]),
            self.nothing,
        )

    def padded(self, steps: int, width: int) -> "Memory":
        """The same with ``steps`` steps and slates of ``width``, at least as many as there are."""
        more, known = steps - self.slates.shape[1], self.slates.shape[2]
        clicks = self.clicks.new_full((len(self), steps), self.nothing)
        rewarded = self.rewarded.new_zeros(len(self), steps)
        slates = self.slates.new_full((len(self), steps, width), self.nothing)
        clicks[:, more:], rewarded[:, more:], slates[:, more:, :known] = self.clicks, self.rewarded, self.slates
        return Memory(clicks, rewarded, slates, self.nothing)

    def after(self, slate: Tensor, click: Tensor, reward: Tensor | None) -> "Memory":
        """The memory after ``click`` (B,) in ``slate`` (B, K); without ``reward`` (B,) it had none."""
        wide = self.padded(self.slates.shape[1], max(slate.shape[1], self.slates.shape[2]))
        slate = pad(slate, (0, wide.slates.shape[2] - slate.shape[1]), value=self.nothing)
        rewarded = torch.zeros_like(click, dtype=torch.bool) if reward is None else reward > 0
        return Memory(
            torch.cat([self.clicks, click[:, None]], dim=1),
            torch.cat([self.rewarded, rewarded[:, None]], dim=1),
            torch.cat([wide.slates, slate[:, None]], dim=1),
            self.nothing,
        )


@dataclass(frozen=True)
class UserState:
    """What U knows of B sessions."""

    recurrent: RecurrentState
    memory: Memory | None  # for terms of the click scores; None without them

    @property
    def top(self) -> Tensor:
        """The state that output layers read. (B, H)"""
        return self.recurrent.top

    def read(self, layer: Callable[[Tensor], Tensor]) -> Tensor:
        """What ``layer`` makes of `top`, (B, H) -> (B, ...), once for sessions that have one state."""
        return self.recurrent.read(layer)

    def __len__(self) -> int:
        return len(self.recurrent)

    def take(self, rows: Tensor) -> "UserState":
        """A copy that holds the sessions ``rows`` (R,)."""
        return UserState(self.recurrent.take(rows), None if self.memory is None else self.memory.take(rows))

    def join(self, others: Sequence["UserState"]) -> "UserState":
        """The sessions of this state and then those of ``others``."""
        recurrent = self.recurrent.join([other.recurrent for other in others])
        if self.memory is None:
            return UserState(recurrent, None)
        return UserState(recurrent, self.memory.join([o.memory for o in others if o.memory is not None]))


class StepView:
    """One list each of B sessions that carry a memory.

    Args:
        memory: of the sessions.
        items: (B, K) the lists, n where nothing is shown.
        statistics: of the log.
        ranked: whether the lists are in the order of the log's ranker.

    """

    def __init__(self, memory: Memory, items: Tensor, statistics: Statistics, *, ranked: bool) -> None:
        self._memory = memory
        self._items = items
        self._statistics = statistics
        self.ranked = torch.full((len(memory),), ranked, device=items.device)
        self.rate = statistics.rate

    @cached_property
    def touched(self) -> Tensor:  # noqa: D102
        return torch.where(self.last.any(1), self.last.int().argmax(1), NOTHING)

    @cached_property
    def last(self) -> Tensor:  # noqa: D102
        clicks = self._memory.clicks
        if not clicks.shape[1]:
            return torch.zeros_like(self._items, dtype=torch.bool)
        return (self._items == clicks[:, -1:]) & (self._items < self._memory.nothing)

    @cached_property
    def clicks(self) -> Tensor:  # noqa: D102
        return _occurrences(self._memory.clicks, self._items, self._memory.nothing)

    @cached_property
    def rewarded(self) -> Tensor:  # noqa: D102
        clicks = torch.where(self._memory.rewarded, self._memory.clicks, self._memory.nothing)
        return _occurrences(clicks, self._items, self._memory.nothing)

    @cached_property
    def seen(self) -> Tensor:  # noqa: D102
        return _occurrences(self._memory.slates.flatten(1), self._items, self._memory.nothing)

    @cached_property
    def same(self) -> Tensor:  # noqa: D102
        if not self._memory.slates.shape[1]:
            return torch.zeros(len(self._items), dtype=torch.bool, device=self._items.device)
        width = max(self._items.shape[1], self._memory.slates.shape[2])
        before = self._memory.padded(self._memory.slates.shape[1], width).slates[:, -1]
        now = pad(self._items, (0, width - self._items.shape[1]), value=self._memory.nothing)
        return (before == now).all(1) & (now < self._memory.nothing).any(1)

    @cached_property
    def looks(self) -> Tensor:  # noqa: D102
        return torch.zeros_like(self._items)  # clicks are all that is heard of

    @cached_property
    def visits(self) -> Tensor:  # noqa: D102
        return torch.zeros_like(self._items)

    @cached_property
    def popularity(self) -> Tensor:  # noqa: D102
        return self._statistics.counts.clicks[self._items]

    @cached_property
    def shown(self) -> Tensor:  # noqa: D102
        return self._statistics.counts.shown[self._items]

    @cached_property
    def related(self) -> Tensor:  # noqa: D102
        total = torch.zeros(self._items.shape, device=self._items.device)
        for click in self._memory.clicks[:, -RECENT:].unbind(1):
            total = DECAY * total + self._statistics.related.between(click[:, None], self._items)
        return total

    @property
    def related_to_touched(self) -> Tensor:  # noqa: D102
        return self.related


def _occurrences(past: Tensor, items: Tensor, nothing: int) -> Tensor:
    """How often each of ``items`` (B, K) is in ``past`` (B, P); 0 for the item n. (B, K) int64"""
    rising = past.sort(1).values
    first, end = (torch.searchsorted(rising, items.contiguous(), right=right) for right in (False, True))
    return torch.where(items < nothing, end - first, 0)
