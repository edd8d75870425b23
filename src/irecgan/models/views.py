"""What a user sees of a list, and remembers of the session, when the list is shown.

Two accounts of one thing: `BatchView` of the lists of whole sessions at once, `StepView` of one list each, by a
memory that sessions carry along. Everything is by item index; the index n stands for items that are not known, which
are like no other item.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from irecgan.data.batch import NOTHING, SessionBatch, last_clicked
from irecgan.data.statistics import ItemCounts

DECAY = 0.8
"""What a click weighs for related items when another follows it, as in the baseline ``co_click``."""


class Related(Protocol):
    """How items are related."""

    def between(self, items: Tensor, others: Tensor) -> Tensor:
        """The cosine, in [0, 1], of ``others`` to ``items`` as sets of sessions. Any shapes that fit together."""
        ...


@dataclass(frozen=True)
class Statistics:
    """What is known of the items from the log that was learned from."""

    counts: ItemCounts  # of items 0 .. n, see `ItemCounts.with_unknown`
    related: Related

    @cached_property
    def rate(self) -> float:
        """Clicks per item shown."""
        return float(self.counts.clicks.sum() / self.counts.shown.sum().clamp(min=1))


class View(Protocol):
    """M lists of at most K items as their users see them."""

    @property
    def ranked(self) -> Tensor:
        """Lists in the order of the log's ranker, and not of a policy that is asked for one. (M,) bool"""
        ...

    @property
    def touched(self) -> Tensor:
        """The rank of the item touched last; NOTHING where none is shown. (M,) int64"""
        ...

    @property
    def last(self) -> Tensor:
        """The item clicked last. (M, K) bool"""
        ...

    @property
    def clicks(self) -> Tensor:
        """Earlier clicks on each item in the session. (M, K) int64"""
        ...

    @property
    def rewarded(self) -> Tensor:
        """Those of them that had a reward. (M, K) int64"""
        ...

    @property
    def seen(self) -> Tensor:
        """Earlier lists of the session that showed the item. (M, K) int64"""
        ...

    @property
    def same(self) -> Tensor:
        """Lists that are the one shown before. (M,) bool"""
        ...

    @property
    def popularity(self) -> Tensor:
        """Clicks on each item in the log. (M, K) int64"""
        ...

    @property
    def shown(self) -> Tensor:
        """Lists of the log that showed each item. (M, K) int64"""
        ...

    @property
    def rate(self) -> float:
        """Clicks per item shown in the log."""
        ...

    @property
    def related(self) -> Tensor:
        """The sum of the cosines of each item to the earlier clicks, fading by DECAY a click. (M, K)"""
        ...


class BatchView:
    """The lists of the M real steps of a batch, in row-major order.

    Args:
        batch: logged or generated sessions; lists of the latter are in no ranker's order.
        statistics: of the log; its items are those of the batch.
        ranked: whether the order of logged lists is that of the log's ranker.
        own: whether the logged sessions of the batch were counted in ``statistics``: what they put there themselves
            is then taken out again, clicks that are still to come among it.

    """

    def __init__(self, batch: SessionBatch, statistics: Statistics, *, ranked: bool = True, own: bool = False) -> None:
        self._batch = batch
        self._statistics = statistics
        generated = batch.generated
        logged = torch.ones(len(batch), dtype=torch.bool) if generated is None else ~generated  # (B,)
        self._own = logged[:, None, None] & own
        self.ranked = (logged & ranked)[:, None].expand(batch.real.shape)[batch.real]
        self.rate = statistics.rate

    @cached_property
    def touched(self) -> Tensor:  # noqa: D102
        batch = self._batch
        return (last_clicked(batch) if batch.touched is None else batch.touched)[batch.real]

    @cached_property
    def last(self) -> Tensor:  # noqa: D102
        return self._is(self._earlier(self._batch.click, 1, self._batch.catalogue_size))[self._batch.real]

    @cached_property
    def clicks(self) -> Tensor:  # noqa: D102
        return self._past(torch.ones_like(self._batch.click))

    @cached_property
    def rewarded(self) -> Tensor:  # noqa: D102
        return self._past((self._batch.reward > 0).long())

    @cached_property
    def seen(self) -> Tensor:  # noqa: D102
        return self._showings[0][self._batch.real]

    @cached_property
    def same(self) -> Tensor:  # noqa: D102
        slate = self._batch.slate
        same = (slate[:, 1:] == slate[:, :-1]).all(2)  # (B, T - 1)
        return pad(same, (1, 0))[self._batch.real]

    @cached_property
    def popularity(self) -> Tensor:  # noqa: D102
        count = self._statistics.counts.clicks[self._batch.slate] - self._own * self._own_clicks
        return count[self._batch.real]

    @cached_property
    def shown(self) -> Tensor:  # noqa: D102
        count = self._statistics.counts.shown[self._batch.slate] - self._own * self._showings[1]
        return count[self._batch.real]

    @cached_property
    def related(self) -> Tensor:  # noqa: D102
        batch, total = self._batch, torch.zeros(self._batch.slate.shape)  # (B, T, K)
        for lag in range(batch.slate.shape[1] - 1, 0, -1):  # oldest first, as in `StepView`
            total[:, lag:] = DECAY * total[:, lag:] + self._cosine(batch.click[:, :-lag, None], lag)
        return total[batch.real]

    def _cosine(self, click: Tensor, lag: int) -> Tensor:
        """Between ``click`` (B, T - lag, 1) and the items shown ``lag`` steps later. (B, T - lag, K)"""
        slate, counts = self._batch.slate[:, lag:], self._statistics.counts.sessions
        cosine = self._statistics.related.between(click, slate)
        if not bool(self._own.any()):
            return cosine
        times = self._own_clicks[:, lag:]
        in_log = counts[click].float(), counts[slate].float()
        # A pair is in this session too where both are clicked in it, and an item with itself where it is twice.
        together = cosine * (in_log[0] * in_log[1]).sqrt() - torch.where(slate == click, times > 1, times > 0).float()
        apart = ((in_log[0] - 1) * (in_log[1] - (times > 0).float())).clamp(min=1e-9).sqrt()
        without = torch.where(together > 0.5, together / apart, 0.0)
        return torch.where(self._own, without, cosine)

    @cached_property
    def _own_clicks(self) -> Tensor:
        """Clicks on each item in its whole session. (B, T, K) int64"""
        total = torch.zeros_like(self._batch.slate)
        for step in self._batch.click.unbind(1):
            total += self._is(step[:, None])
        return total

    @cached_property
    def _showings(self) -> tuple[Tensor, Tensor]:
        """Slates of its session that showed each item: earlier ones, and all. Two of (B, T, K) int64"""
        slate = self._batch.slate
        flat = slate.flatten(1)  # (B, T K), in the order of steps
        order = flat.argsort(dim=1, stable=True)
        rising = flat.gather(1, order)
        first, end = (torch.searchsorted(rising, rising, right=right) for right in (False, True))
        place = torch.arange(flat.shape[1]).expand_as(flat)
        known = rising < self._batch.catalogue_size
        both = (torch.where(known, place - first, 0), torch.where(known, end - first, 0))
        earlier, all_ = (torch.zeros_like(flat).scatter(1, order, count).view_as(slate) for count in both)
        return earlier, all_

    def _past(self, weight: Tensor) -> Tensor:
        """The sum of ``weight`` (B, T) over the earlier clicks on each item. (M, K) int64"""
        total = torch.zeros_like(self._batch.slate)
        for lag in range(1, self._batch.slate.shape[1]):
            click = self._earlier(self._batch.click, lag, self._batch.catalogue_size)
            total += self._is(click) * self._earlier(weight, lag, 0)[..., None]
        return total[self._batch.real]

    def _is(self, click: Tensor) -> Tensor:
        """Whether each item shown is the known ``click`` (B, T) or (B, 1). (B, T, K) bool"""
        return (self._batch.slate == click[..., None]) & (click < self._batch.catalogue_size)[..., None]

    def _earlier(self, values: Tensor, lag: int, default: int) -> Tensor:
        """``values`` (B, T) of ``lag`` steps before. (B, T)"""
        return pad(values[:, :-lag], (lag, 0), value=default)


@dataclass(frozen=True)
class Memory:
    """What B sessions have seen and done, oldest first; index n where a session has less."""

    clicks: Tensor  # (B, T) int64
    rewarded: Tensor  # (B, T) bool, clicks with a reward
    slates: Tensor  # (B, T, K) int64
    nothing: int  # n

    @classmethod
    def start(cls, sessions: int, nothing: int) -> "Memory":
        """Of ``sessions`` sessions in which nothing has happened."""
        empty = torch.empty(sessions, 0, dtype=torch.int64)
        return cls(empty, empty.bool(), empty[..., None][..., :0], nothing)

    def __len__(self) -> int:
        return len(self.clicks)

    def take(self, rows: Tensor) -> "Memory":
        """A copy that holds the sessions ``rows`` (R,)."""
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
        more, wider = steps - self.slates.shape[1], width - self.slates.shape[2]
        return Memory(
            pad(self.clicks, (more, 0), value=self.nothing),
            pad(self.rewarded, (more, 0)),
            pad(self.slates, (0, wider, more, 0), value=self.nothing),
            self.nothing,
        )

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
        self.ranked = torch.full((len(memory),), ranked)
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
            return torch.zeros(len(self._items), dtype=torch.bool)
        width = max(self._items.shape[1], self._memory.slates.shape[2])
        before = self._memory.padded(self._memory.slates.shape[1], width).slates[:, -1]
        now = pad(self._items, (0, width - self._items.shape[1]), value=self._memory.nothing)
        return (before == now).all(1)

    @cached_property
    def popularity(self) -> Tensor:  # noqa: D102
        return self._statistics.counts.clicks[self._items]

    @cached_property
    def shown(self) -> Tensor:  # noqa: D102
        return self._statistics.counts.shown[self._items]

    @cached_property
    def related(self) -> Tensor:  # noqa: D102
        total = torch.zeros(self._items.shape)
        for click in self._memory.clicks.unbind(1):
            total = DECAY * total + self._statistics.related.between(click[:, None], self._items)
        return total


def _occurrences(past: Tensor, items: Tensor, nothing: int) -> Tensor:
    """How often each of ``items`` (B, K) is in ``past`` (B, P); 0 for the item n. (B, K) int64"""
    rising = past.sort(1).values
    first, end = (torch.searchsorted(rising, items.contiguous(), right=right) for right in (False, True))
    return torch.where(items < nothing, end - first, 0)
