"""Slates from a ranking of the catalogue."""

from typing import Generic

import torch
from torch import Tensor

from irecgan.data.sparse import PaddedRows
from irecgan.models.memory import UserState
from irecgan.models.user import RecurrentUserModel
from irecgan.objectives.slates import ordered_log_likelihood
from irecgan.policies.drawing import drawn_slate, noisy, noisy_slate
from irecgan.policies.interface import Ranker
from irecgan.rows import State
from irecgan.worlds.interface import Scene

LARGE = 10_000
"""Items from which on catalogues are scored some sessions at a time, and slates drawn without noise on every item."""
_CELLS = 1 << 24
"""Scores held at once in such a catalogue: 64 MB."""


def top_slate(scores: Tensor, size: int) -> Tensor:
    """The ``size`` items of highest score, best first, those of equal score in their order. (B, n) -> (B, K)

    >>> top_slate(torch.tensor([[0.1, 0.3, 0.1, 0.2]]), 3)
    tensor([[1, 3, 0]])
    """
    best = scores.topk(size, dim=1).indices
    last = scores.gather(1, best[:, -1:])  # (B, 1)
    tied = ((scores >= last).sum(1) > size).nonzero().squeeze(1)
    best[tied] = _first_of_equal(scores[tied], last[tied], size)
    best = best.sort(dim=1).values
    return ordered(scores.gather(1, best), best)


def _first_of_equal(scores: Tensor, last: Tensor, size: int) -> Tensor:
    """The ``size`` items above ``last`` (B, 1) or, as they come, equal to it; rising. (B, n) -> (B, K)"""
    above, equal = scores > last, scores == last
    left = size - above.sum(1, keepdim=True)
    return (above | equal & (equal.cumsum(1) <= left)).nonzero()[:, 1].view(-1, size)


def sampled_slate(scores: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Items drawn one by one without replacement by the softmax of ``scores``, Eq. (4). (B, n) -> (B, K)

    By noise on all items in catalogues of fewer than LARGE; by draws from the cumulative chances in others.
    """
    return (noisy_slate if scores.shape[1] < LARGE else drawn_slate)(scores, size, generator)


def ranked_with_chances(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The ranks by falling score, those of equal score as they stand, and the chances to be drawn first. Both (B, C)

    >>> ranked_with_chances(torch.tensor([[0.0, -torch.inf, 0.0]]))
    (tensor([[0, 2, 1]]), tensor([[0.5000, 0.5000, 0.0000]]))
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    return order, scores.softmax(1).nan_to_num(0.0).gather(1, order)  # no numbers where all are -inf


def ordered(scores: Tensor, candidates: Tensor) -> Tensor:
    """The candidates by falling score, those of equal score in the order given. (B, C), (B, C) -> (B, C)"""
    return candidates.gather(1, scores.argsort(dim=1, descending=True, stable=True))


def conservative_rank(scores: Tensor, shown: Tensor, position: Tensor) -> Tensor:
    """The rank of the clicked item, from 1: one more than the others shown whose score is no lower. (M,)

    Ties so count against the ranking: one that gives all items one score gains nothing from the order in
    which they happen to stand.

    >>> scores = torch.tensor([[0.3, 0.9, 0.3, 0.1]])
    >>> conservative_rank(scores, torch.ones(1, 4, dtype=torch.bool), torch.tensor([0]))
    tensor([3])

    Args:
        scores: (M, K) higher is better; -inf is allowed, nan is not.
        shown: (M, K) bool, false on padding.
        position: (M,) place of the clicked item in the list.

    Raises:
        ValueError: a score of an item shown is nan.

    """
    if bool((scores.isnan() & shown).any()):
        raise ValueError("a score is nan; expected numbers or -inf")
    clicked = scores.gather(1, position[:, None])
    return ((scores >= clicked) & shown).sum(1)  # the clicked item itself is the one more


def slate_log_probability(scores: Tensor, slate: Tensor) -> Tensor:
    """The log chance that `sampled_slate` draws exactly ``slate``, in its order, Eq. (4). (B, n), (B, K) -> (B,)

    Each item is drawn by the softmax over those that are left.

    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> slate_log_probability(scores, torch.tensor([[1, 0]])).exp()  # 0.3 * 0.5 / 0.7
    tensor([0.2143])
    """
    return slate.shape[1] * ordered_log_likelihood(scores, slate, torch.ones_like(slate, dtype=torch.bool))


class UserRanker:
    """Ranks the catalogue by the click scores of a user model: the LSTM and LSTMD rows of the paper.

    The order is made here: terms of the user model that read a logged order are off, unless candidates are
    ``ranked``: in the order of the ranker that made the log. A ranker hears of clicks alone, so items were shown
    before if they were clicked.
    """

    def __init__(self, user: RecurrentUserModel, *, ranked: bool = False) -> None:
        self.user = user
        self.ranked = ranked

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.user.catalogue_size

    def start(self, sessions: int, context: PaddedRows | None = None) -> UserState:
        """The state before the first slate, which has ``context`` (B, W)."""
        return self.user.start(sessions, context)

    def scores(self, state: UserState) -> Tensor:
        """Click scores V^c of Eq. (1) for all items. (B, n)"""
        return self.user.scores(state)

    def scores_of(self, state: UserState, items: Tensor) -> Tensor:
        """Click scores V^c of ``items`` (B, C) alone. (B, C)"""
        return self.user.scores_of(state, items, ranked=self.ranked)

    def advance(self, state: UserState, click: Tensor, context: PaddedRows | None = None) -> UserState:
        """The state after ``click`` (B,); the slate that follows has ``context`` (B, W)."""
        return self.user.advance(state, click[:, None], click, context)


class RankingPolicy(Generic[State]):
    """Shows the top of a ranking, or samples by it; where the world has candidates, orders these.

    ``slate_size`` counts in a world without candidates.
    """

    def __init__(self, ranker: Ranker[State], slate_size: int, *, sampled: bool = False) -> None:
        self.ranker = ranker
        self.slate_size = slate_size
        self.sampled = sampled

    def start(self, sessions: int) -> State:
        """The ranker's state before the first slate."""
        return self.ranker.start(sessions)

    def propose(self, state: State, scene: Scene, generator: torch.Generator) -> Tensor:
        """Slates (B, K), best (or first drawn) first."""
        items = self.ranker.catalogue_size
        if scene.candidates is not None:
            offered = self.ranker.scores_of(state, scene.candidates).masked_fill(scene.candidates == items, -torch.inf)
            return ordered(noisy(offered, generator) if self.sampled else offered, scene.candidates)
        if items < LARGE:
            return self._slates(self.ranker.scores(state), generator)
        parts = torch.arange(len(state), device=generator.device).split(max(1, _CELLS // items))
        return torch.cat([self._slates(self.ranker.scores(state.take(part)), generator) for part in parts])

    def advance(self, state: State, slate: Tensor, click: Tensor) -> State:  # noqa: ARG002
        """The ranker's state after ``click`` (B,)."""
        return self.ranker.advance(state, click)

    def _slates(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        if self.sampled:
            return sampled_slate(scores, self.slate_size, generator)
        return top_slate(scores, self.slate_size)
