"""The conditional logit by Newton's method: convex, so that there is one answer and no chance in it."""

from collections.abc import Callable

import torch
from torch import Tensor

from irecgan.training.lists.dataset import ClickedLists, within_lists

Design = Callable[[Tensor], Tensor]
"""From the numbers of some items (R, J) to what weights multiply. (R, F) float64"""

_ROWS = 100_000  # made wide at once
_STEPS = 50
_SMALLEST = 2.0**-20  # share of a step that is still tried
_GAIN = 1e-7  # of the log-likelihood, with which a step is the last


def fit_weights(lists: ClickedLists, design: Design, ridge: float, start: Tensor) -> Tensor:
    """The weights under which the clicks are likeliest, less half of ``ridge`` times the square of each. (F,) float64

    Newton's method from ``start`` (F,); a step that does not pay is halved until it does.
    """
    weight = start.double()
    value = _likelihood(lists, design, weight) - _penalty(weight, ridge)
    for _ in range(_STEPS):
        gradient, information = _slope(lists, design, weight)
        curvature = information + ridge * torch.eye(len(weight), dtype=torch.float64)
        step, share, better = torch.linalg.solve(curvature, gradient - ridge * weight), 1.0, value
        while share >= _SMALLEST:
            moved = weight + share * step
            better = _likelihood(lists, design, moved) - _penalty(moved, ridge)
            if better >= value:
                break
            share /= 2
        if better < value:
            break
        weight, gain, value = moved, better - value, better
        if gain <= _GAIN:
            break
    return weight


def scored(lists: ClickedLists, design: Design, weight: Tensor) -> Tensor:
    """The score of every row. (R,) float64"""
    return torch.cat([design(part) @ weight for part in lists.values.split(_ROWS)])


def _likelihood(lists: ClickedLists, design: Design, weight: Tensor) -> float:
    return float(within_lists(scored(lists, design, weight), lists)[1].sum())


def _penalty(weight: Tensor, ridge: float) -> float:
    return ridge / 2 * float(weight @ weight)


def _slope(lists: ClickedLists, design: Design, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient (F,) of the log-likelihood, and minus its second derivatives (F, F)."""
    chance, _ = within_lists(scored(lists, design, weight), lists)
    mean = torch.zeros(len(lists), len(weight), dtype=torch.float64)  # of each list, (L, F)
    information = torch.zeros(len(weight), len(weight), dtype=torch.float64)
    parts = zip(lists.values.split(_ROWS), chance.split(_ROWS), lists.owner.split(_ROWS), strict=True)
    for values, p, owner in parts:
        wide = design(values)
        weighted = p[:, None] * wide
        mean.index_add_(0, owner, weighted)
        information += wide.T @ weighted
    chosen = design(lists.values[lists.clicked])
    return (chosen - mean).sum(0), information - mean.T @ mean
