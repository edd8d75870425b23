"""What a user sees of a list, and remembers of the session, when the list is shown.

Two accounts of one thing: `BatchView` of the lists of whole sessions at once, `StepView` of one list each, by a
memory that sessions carry along. Everything is by item index; the index n stands for items that are not known, which
are like no other item.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import torch
from torch import Tensor

from irecgan.data.statistics import ItemCounts

DECAY = 0.8
"""What a click or touch weighs for related items when another follows it, as in the baseline ``co_click``."""
RECENT = 20
"""Clicks and touches that count for related items, the latest ones: the next would weigh .01."""


class Related(Protocol):
    """How items are related."""

    def between(self, items: Tensor, others: Tensor) -> Tensor:
        """The cosine, in [0, 1], of ``others`` to ``items`` as sets of sessions. Any shapes that fit together."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        ...


@dataclass(frozen=True)
class Statistics:
    """What is known of the items from the log that was learned from."""

    counts: ItemCounts  # of items 0 .. n, see `ItemCounts.with_unknown`
    related: Related

    @cached_property
    def rate(self) -> Tensor:
        """Clicks per item shown. ()"""
        return self.counts.clicks.sum() / self.counts.shown.sum().clamp(min=1)

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self.counts.clicks.device

    def to(self, device: torch.device) -> "Statistics":
        """The same on another device."""
        return Statistics(self.counts.to(device), self.related.to(device))


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
    def looks(self) -> Tensor:
        """Earlier touches of each item in the session by other actions than clicks. (M, K) int64"""
        ...

    @property
    def visits(self) -> Tensor:
        """Touches of each item in earlier sessions of the user. (M, K) int64"""
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
    def rate(self) -> Tensor:
        """Clicks per item shown in the log. ()"""
        ...

    @property
    def related(self) -> Tensor:
        """The sum of the cosines of each item to the RECENT items clicked last, fading by DECAY. (M, K)"""
        ...

    @property
    def related_to_touched(self) -> Tensor:
        """The same to the RECENT items clicked or touched last. (M, K)"""
        ...
