"""Terms of U's click softmax for what a user sees and remembers of a list.

A conditional logit (McFadden, 1974, "Conditional logit analysis of qualitative choice behavior"): the score of an item
is the recurrent one plus a weight for each feature. What is the same for all items of a list cancels out.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from irecgan.data.batch import NOTHING
from irecgan.models.views import Statistics, View

TermName = Literal["rank", "repeat", "list", "popularity", "click_rate", "co_click", "touches"]
TERMS: tuple[TermName, ...] = get_args(TermName)

RANKS = 30
"""Shown ranks with a weight each; all later ones share the last."""
_PRIOR_LISTS = 20  # that a click rate is shrunk by towards the log's
_STEPS = ((-30, -6), (-5, -3), (-2, -2), (-1, -1), (1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 30))
"""Places behind the item touched last, as ranges; the outer two hold what is beyond."""


@dataclass(frozen=True)
class Feature:
    """A number of every item shown or, with ``levels``, one of several labels with a weight each.

    ``of`` gives the numbers, or the places of the labels in ``levels`` (their number where none applies). (M, K)
    """

    term: TermName
    name: str
    of: Callable[[View], Tensor]
    levels: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of its weights."""
        return max(1, len(self.levels))


def _places(view: View) -> Tensor:
    """0 .. K - 1. (K,)"""
    return torch.arange(view.last.shape[1], device=view.last.device)


def _rank(view: View) -> Tensor:
    rank = _places(view).clamp(max=RANKS - 1)
    return torch.where(view.ranked[:, None], rank, RANKS)


def _touched(view: View) -> Tensor:
    return _places(view) == view.touched[:, None]


def _behind(view: View, *, same: bool) -> Tensor:
    """Where an item stands behind the one touched last, as a place in _STEPS."""
    behind = _places(view) - view.touched[:, None]
    place = torch.stack([behind >= least for least, _ in _STEPS[1:]]).sum(0)
    applies = (view.touched != NOTHING) & view.ranked & (view.same == same)
    return torch.where(applies[:, None] & (behind != 0), place, len(_STEPS))


_STEP_NAMES = tuple(f"{low:+d}" if low == high else f"{low:+d}..{high:+d}" for low, high in _STEPS)

LOOKS = ("touched in the session", "log times touched in the session")
VISITS = ("touched in earlier sessions", "log times touched in earlier sessions")
"""Features of what is told by ``touched_between``, and by ``touched_by_user``."""
_CO_CLICKS = "co-clicks with the session"

FEATURES: tuple[Feature, ...] = (
    Feature("rank", "rank", _rank, tuple(str(rank + 1) for rank in range(RANKS))),
    Feature("repeat", "touched last", lambda v: _touched(v).float()),
    Feature("repeat", "touched last, same list", lambda v: (_touched(v) & v.same[:, None]).float()),
    Feature("repeat", "clicked last", lambda v: v.last.float()),
    Feature("repeat", "clicked before", lambda v: (v.clicks > 0).float()),
    Feature("repeat", "log clicks before", lambda v: v.clicks.float().log1p()),
    Feature("repeat", "rewarded before", lambda v: (v.rewarded > 0).float()),
    Feature("list", "shown before", lambda v: (v.seen > 0).float()),
    Feature("list", "places behind, same list", lambda v: _behind(v, same=True), _STEP_NAMES),
    Feature("list", "places behind, other list", lambda v: _behind(v, same=False), _STEP_NAMES),
    Feature("popularity", "log clicks in the log", lambda v: v.popularity.float().log1p()),
    Feature(
        "click_rate",
        "log click rate in the log",
        lambda v: ((v.popularity + _PRIOR_LISTS * v.rate.clamp(min=1e-6)) / (v.shown + _PRIOR_LISTS)).log(),
    ),
    Feature("co_click", _CO_CLICKS, lambda v: v.related),
    Feature("touches", LOOKS[0], lambda v: (v.looks > 0).float()),
    Feature("touches", LOOKS[1], lambda v: v.looks.float().log1p()),
    Feature("touches", VISITS[0], lambda v: (v.visits > 0).float()),
    Feature("touches", VISITS[1], lambda v: v.visits.float().log1p()),
)


def features_of(names: Collection[TermName]) -> tuple[Feature, ...]:
    """Those of the terms ``names``. With ``touches`` among them co-clicks are with what was touched too."""
    found = tuple(feature for feature in FEATURES if feature.term in names)
    if "touches" not in names:
        return found
    return tuple(replace(f, of=lambda v: v.related_to_touched) if f.name == _CO_CLICKS else f for f in found)


class Terms(nn.Module):
    """The sum of the weighted features of the terms called ``names``.

    Attributes:
        weight: (F,) the weights of all features, those of labels one after the other.
        covariance: (F, F) of the weights, see `irecgan.training.information`; 0 until it is known.
        statistics: of the log that is learned from; set before the first call.

    """

    covariance: Tensor

    def __init__(self, names: Sequence[TermName]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.features = features_of(names)
        starts = [0, *accumulate(feature.width for feature in self.features)]
        self.places = {f.name: slice(a, b) for f, a, b in zip(self.features, starts, starts[1:], strict=False)}
        self.weight = nn.Parameter(torch.zeros(starts[-1]))
        self.register_buffer("covariance", torch.zeros(starts[-1], starts[-1]))
        self._statistics: Statistics | None = None

    @property
    def statistics(self) -> Statistics:
        """Of the log that is learned from, where the weights are."""
        if self._statistics is None:
            raise RuntimeError("terms have no statistics of a log; expected Terms.attach first")
        if self._statistics.device != self.weight.device:
            self._statistics = self._statistics.to(self.weight.device)
        return self._statistics

    def attach(self, statistics: Statistics) -> None:
        """Read the popularity, the click rates and the relations of items in ``statistics``."""
        self._statistics = statistics

    def reads(self, names: Collection[str]) -> bool:
        """Whether features called ``names`` change a score: those that the log told nothing of have weights of 0."""
        return any(bool(self.weight[self.places[name]].any()) for name in names if name in self.places)

    def forget(self) -> None:
        """Set all weights to 0: terms begin as if they were not there."""
        nn.init.zeros_(self.weight)
        self.covariance.zero_()

    def forward(self, view: View) -> Tensor:
        """What the terms add to the scores of the items of ``view``. (M, K)"""
        total = torch.zeros(view.last.shape, device=self.weight.device)
        for feature in self.features:
            weight, value = self.weight[self.places[feature.name]], feature.of(view)
            total = total + (nn.functional.pad(weight, (0, 1))[value] if feature.levels else weight * value)
        return total

    def design(self, view: View) -> Tensor:
        """The numbers that the weights multiply. (M, K, F)"""
        return torch.cat([_columns(feature, feature.of(view)) for feature in self.features], dim=2)

    def widened(self, values: Tensor) -> Tensor:
        """The same from the `numbers` of some items. (R, J) -> (R, F) float64"""
        columns = zip(self.features, values.unbind(1), strict=True)
        return torch.cat([_columns(f, column.long() if f.levels else column) for f, column in columns], dim=1).double()


def _columns(feature: Feature, value: Tensor) -> Tensor:
    if not feature.levels:
        return value[..., None].float()
    return nn.functional.one_hot(value, feature.width + 1)[..., :-1].float()


def numbers(features: Sequence[Feature], view: View) -> Tensor:
    """What every feature says of every item, labels as places in their levels. (M, K, J) float32

    Where ranks are not read, all items are as if they stood first.
    """
    columns = []
    for feature in features:
        value = feature.of(view).float().expand(view.last.shape)
        columns.append(torch.where(view.ranked[:, None], value, 0.0) if feature.term == "rank" else value)
    return torch.stack(columns, dim=2)
