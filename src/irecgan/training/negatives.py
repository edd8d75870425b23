"""Which items stand for the whole catalogue where a softmax is sampled."""

import torch
from torch import Tensor

POWER = 0.75
"""Of click counts, between what is clicked and what there is (Mikolov et al., 2013, word2vec)."""


class Proposal:
    """Draws ``size`` items that serve a whole batch as negatives.

    An item is expected min(1, c (clicks + 1)^POWER) times in a draw, with the c for which these add up to
    ``size``. By falling expectation the items fill ``size`` strata of expectation 1, and one is drawn from
    each (Madow, 1949, "On the theory of systematic sampling, II", with a point of its own for each stratum):
    popular and rare items are there in fixed numbers, which leaves less to chance than independent draws. An
    item on the border of two strata may come twice. With ``size`` of the catalogue or more all items come once.

    Args:
        clicks: (n,) clicks on each item in the log.
        size: items to draw, C.

    """

    def __init__(self, clicks: Tensor, size: int) -> None:
        expected = _expected((clicks.double() + 1) ** POWER, min(size, len(clicks)))
        self.order = expected.argsort(descending=True, stable=True)  # (n,)
        self.ends = expected[self.order].cumsum(0)  # (n,)
        self.log_expected = expected.log().float()  # (n,) of the number of times an item is in a draw
        self.size = min(size, len(clicks))

    def draw(self, generator: torch.Generator) -> Tensor:
        """Items (C,), by falling expectation."""
        within = torch.rand(self.size, dtype=torch.float64, generator=generator)
        place = torch.searchsorted(self.ends, torch.arange(self.size) + within, right=True)
        return self.order[place.clamp(max=len(self.order) - 1)]


def _expected(weight: Tensor, size: int) -> Tensor:
    """min(1, c weight) with the c for which the sum is ``size``. (n,)"""
    order = weight.argsort(descending=True, stable=True)
    falling = weight[order]
    rest = falling.flip(0).cumsum(0).flip(0)  # (n,) the weight of an item and of all after it
    share = (size - torch.arange(len(weight))) * falling / rest  # expectation of an item if those before it are certain
    certain = int((share >= 1).cumprod(0).sum())
    expected = torch.ones_like(weight)
    if certain < len(weight):
        expected[order[certain:]] = (size - certain) * falling[certain:] / rest[certain]
    return expected
