"""The item-to-item baseline: what was clicked in the same sessions as the clicks so far."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.ragged import offsets, ranges
from irecgan.policies.begun import Begun
from irecgan.policies.popularity import Popularity

NEIGHBOURS = 100
"""Items kept for each item: the most related ones."""
LONGEST = 100
"""Clicks of a session that are counted, the first ones: pairs grow with the square."""
_BLOCK = 10_000_000  # pairs counted at once
_CELLS = 1_000_000
"""Pairs of items that are kept in a table: where there are more, those that are related are searched."""
_EVERY = 1_000_000_000
"""More clicks than any session has."""
_TIE = 1e-9  # weight of popularity, which so decides only between items that are equally related


@dataclass(frozen=True)
class Neighbours:
    """How items are related, as a sparse matrix by rows: for each of n items those most related to it."""

    start: Tensor  # (n + 2,) int64: entries of item i are start[i] .. start[i + 1]; item n, the unknown, has none
    item: Tensor  # (E,) int64, rising within a row
    weight: Tensor  # (E,) float32, in (0, 1]

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return len(self.start) - 2

    def with_new_items(self, new: int) -> "Neighbours":
        """The same for a catalogue of ``new`` items more, which are related to nothing."""
        return replace(self, start=nn.functional.pad(self.start, (0, new), value=int(self.start[-1])))

    def rows(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The neighbours of ``items`` (B,): place in ``items``, neighbour and weight of each. Three of (E',)"""
        counts = self.start.diff()[items]
        entry = ranges(self.start[items], counts)
        return torch.arange(len(items)).repeat_interleave(counts), self.item[entry], self.weight[entry]

    def to(self, device: torch.device) -> "Neighbours":
        """The same on another device."""
        return Neighbours(self.start.to(device), self.item.to(device), self.weight.to(device))

    def between(self, items: Tensor, others: Tensor) -> Tensor:
        """How ``others`` are related to ``items``: 0 if they are no neighbours. Any shapes that fit together."""
        if not len(self.item):
            return torch.zeros(torch.broadcast_shapes(items.shape, others.shape), device=items.device)
        wanted = items * (self.catalogue_size + 1) + others
        if (self.catalogue_size + 1) ** 2 <= _CELLS:
            return self._table[wanted]
        entry = torch.searchsorted(self._keys, wanted).clamp(max=len(self._keys) - 1)
        return torch.where(self._keys[entry] == wanted, self.weight[entry], 0.0)

    @cached_property
    def _table(self) -> Tensor:
        """All pairs, row by row: looked up at once where a search would take most of the time. ((n + 1)^2,)"""
        table = torch.zeros((self.catalogue_size + 1) ** 2, dtype=self.weight.dtype, device=self.weight.device)
        return table.index_copy(0, self._keys, self.weight)

    @cached_property
    def _keys(self) -> Tensor:
        row = torch.arange(len(self.start) - 1, device=self.start.device).repeat_interleave(self.start.diff())
        return row * (self.catalogue_size + 1) + self.item  # (E,) rising


def co_clicks(sessions: Sessions, most: int = NEIGHBOURS) -> Neighbours:
    """The cosine of items as sets of the sessions in which they were clicked, for the ``most`` related of each.

    The weight of items i and j is the number of sessions with a click on both over the root of the product
    of the numbers with a click on each (Sarwar et al., 2001, "Item-based collaborative filtering
    recommendation algorithms"; Linden, Smith and York, 2003, "Amazon.com recommendations"). An item is
    related to itself by the sessions that click it twice. Equal weights: the smaller item is kept.
    """
    n = sessions.catalogue_size
    session, item, times = _clicked_items(sessions)
    clicked = torch.bincount(item, minlength=n)  # (n,) sessions
    pair, count = _merged(list(_pairs(session, item, times, n)))
    row, other = pair // n, pair % n
    weight = (count / (clicked[row].double() * clicked[other]).sqrt()).float()
    best = weight.argsort(descending=True, stable=True)
    best = best[row[best].argsort(stable=True)]  # by item, and then by weight
    sizes = torch.bincount(row, minlength=n + 1)
    place = ranges(torch.zeros_like(sizes), sizes)
    kept = best[place < most].sort().values
    return Neighbours(offsets(torch.bincount(row[kept], minlength=n + 1)), other[kept], weight[kept])


def _clicked_items(sessions: Sessions) -> tuple[Tensor, Tensor, Tensor]:
    """The different items clicked in each session: session, item and number of clicks. Three of (U,)"""
    steps = sessions.steps
    owner = torch.arange(len(sessions)).repeat_interleave(steps)
    counted = (sessions.click < sessions.catalogue_size) & (ranges(torch.zeros_like(steps), steps) < LONGEST)
    key = owner[counted] * sessions.catalogue_size + sessions.click[counted]
    unique, times = key.unique(return_counts=True)
    return unique // sessions.catalogue_size, unique % sessions.catalogue_size, times


def _pairs(session: Tensor, item: Tensor, times: Tensor, n: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of items clicked in one session as numbers i * n + j, and in how many sessions; block by block."""
    per_session = torch.bincount(session)
    first, size = offsets(per_session)[session], per_session[session]  # (U,) where an item's partners are
    blocks = torch.bincount((size.cumsum(0) - 1) // _BLOCK).tolist() if len(size) else []
    for entries in torch.arange(len(item)).split(blocks):
        one = entries.repeat_interleave(size[entries])
        other = ranges(first[entries], size[entries])
        counted = (one != other) | (times[one] > 1)
        yield (item[one] * n + item[other])[counted].unique(return_counts=True)


def _merged(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The numbers of all parts, each once and rising, with the sum of their counts."""
    nothing = torch.empty(0, dtype=torch.int64)
    keys, counts = (torch.cat([nothing, *(part[i] for part in parts)]) for i in (0, 1))
    unique, inverse = keys.unique(return_inverse=True)
    return unique, torch.zeros_like(unique).index_add(0, inverse, counts)


@dataclass(frozen=True)
class History:
    """The clicks so far of B sessions."""

    begun: Begun  # the state of `Popularity`
    clicks: Tensor  # (B, T) int64, the latest, oldest first; n where a session has fewer, or the item is not known
    nothing: int  # n

    def __len__(self) -> int:
        return len(self.clicks)

    def take(self, rows: Tensor) -> "History":
        """A copy that holds the sessions ``rows`` (R,)."""
        return History(self.begun.take(rows), self.clicks[rows], self.nothing)

    def join(self, others: Sequence["History"]) -> "History":
        """The sessions of this state and then those of ``others``."""
        parts = [self.clicks, *(other.clicks for other in others)]
        longest = max(part.shape[1] for part in parts)
        padded = [torch.nn.functional.pad(part, (longest - part.shape[1], 0), value=self.nothing) for part in parts]
        return History(self.begun.join([other.begun for other in others]), torch.cat(padded), self.nothing)


def reach(decay: float) -> int:
    """How many of the latest clicks can change a score: earlier ones weigh less than the rounding of popularity.

    >>> reach(0.8), reach(0.0), reach(1.0)
    (255, 1, 1000000000)
    """
    if decay >= 1:
        return _EVERY
    return 1 + int(math.log(_TIE * sys.float_info.epsilon) / math.log(decay)) if decay > 0 else 1


class CoClick:
    """Ranks items by sum_i decay^(clicks since) cos(c_i, j) over the clicks c_i so far.

    That later clicks say more is as in the rules and neighbours of sessions of Ludewig and Jannach (2018,
    "Evaluation of session-based recommendation algorithms").

    Items that are equally related, such as all those that are no neighbour of any click and all at t = 0,
    rank by popularity.

    Args:
        neighbours: from `co_clicks`.
        counts: (2, n) popularity, from `return_weighted_counts`.
        decay: what a click weighs when another follows it, in [0, 1].

    """

    def __init__(self, neighbours: Neighbours, counts: Tensor, decay: float = 0.8) -> None:
        self.neighbours = neighbours
        self.decay = decay
        self.reach = reach(decay)
        largest = counts.abs().max().clamp(min=torch.finfo(counts.dtype).tiny)
        self.popularity = Popularity(_TIE * counts.double() / largest)

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.neighbours.catalogue_size

    def start(self, sessions: int) -> History:
        """Nothing was clicked."""
        clicks = torch.empty(sessions, 0, dtype=torch.int64)
        return History(self.popularity.start(sessions), clicks, self.catalogue_size)

    def scores(self, state: History) -> Tensor:
        """Scores of all items. (B, n) float64"""
        related = torch.zeros(len(state), self.catalogue_size)
        for click in state.clicks.unbind(1):  # oldest first
            row, item, weight = self.neighbours.rows(click)
            related.mul_(self.decay).index_put_((row, item), weight, accumulate=True)
        return related + self.popularity.scores(state.begun)

    def scores_of(self, state: History, items: Tensor) -> Tensor:
        """Scores of ``items`` (B, C) alone; any number for the index n. (B, C) float64"""
        related = torch.zeros(items.shape)
        for click in state.clicks.unbind(1):
            related = self.decay * related + self.neighbours.between(click[:, None], items)
        return related + self.popularity.scores_of(state.begun, items)

    def advance(self, state: History, click: Tensor) -> History:
        """The state after ``click`` (B,); an unknown item is related to none."""
        clicks = torch.cat([state.clicks, click[:, None]], dim=1)[:, -self.reach :]
        return History(self.popularity.advance(state.begun, click), clicks, self.catalogue_size)

    def score_slates(self, batch: SessionBatch) -> Tensor:
        """Scores of the items shown at the M real steps. (M, K) float64; -inf for the index n"""
        related = torch.zeros(batch.slate.shape)  # (B, T, K)
        for lag in range(min(batch.slate.shape[1] - 1, self.reach), 0, -1):  # oldest first, as `scores` sums them
            click = batch.click[:, :-lag, None]
            related[:, lag:] = self.decay * related[:, lag:] + self.neighbours.between(click, batch.slate[:, lag:])
        return related[batch.real] + self.popularity.score_slates(batch)
