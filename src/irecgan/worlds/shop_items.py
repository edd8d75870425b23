"""What is for sale in the simulated shop: items with popularity, quality and traits, in categories."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irecgan.seeding import Streams

MIN_CATEGORY = 100
"""Items of the smallest category: the longest list can be filled."""
_POPULAR_QUALITY = 0.5
"""Correlation of an item's quality with its log-popularity."""


@dataclass(frozen=True)
class ShopItems:
    """n items in C categories of at most W. Tables by item have a last row for "no item"."""

    traits: Tensor  # (n + 1, d) float32, N(0, 1) each: what tells items of a category apart
    place: Tensor  # (n + 1, d) float32, N(0, 1) each: the traits and the category's centre, mixed
    quality: Tensor  # (n + 1,) float32, mean 0, variance 1
    popularity: Tensor  # (n + 1,) float32, logarithm of the popularity, mean 0, variance 1
    members: Tensor  # (C, W) int64, the items of every category, n after the last
    rate: Tensor  # (C, W) float32, the popularity of the members, 0 after the last
    centres: Tensor  # (C, d) float32, N(0, 1) each


def draw_items(items: int, factors: int, zipf: float, category_share: float, streams: Streams) -> ShopItems:
    """Items whose popularity is rank^-``zipf``, in about sqrt(n) categories of equal size.

    ``category_share`` of the variance of an item's place is its category's. Every array has a stream of
    its own, so the items of one seed are the same whatever else a world is made of.
    """
    categories = min(items // MIN_CATEGORY, math.isqrt(items))
    rank = streams.numpy("popularity").permutation(items) + 1
    log_rank = np.log(rank)
    popularity = (log_rank.mean() - log_rank) / log_rank.std()
    own = streams.numpy("quality").standard_normal(items)
    quality = _POPULAR_QUALITY * popularity + math.sqrt(1 - _POPULAR_QUALITY**2) * own
    category = streams.numpy("category").permutation(items) % categories  # sizes differ by at most one
    centres = streams.numpy("centres").standard_normal((categories, factors))
    traits = streams.numpy("traits").standard_normal((items, factors))
    members = _members(torch.from_numpy(category), categories)
    return ShopItems(
        traits=_with_nothing(traits),
        place=_with_nothing(math.sqrt(category_share) * centres[category] + math.sqrt(1 - category_share) * traits),
        quality=_with_nothing(quality),
        popularity=_with_nothing(popularity),
        members=members,
        rate=_with_nothing(rank**-zipf)[members],
        centres=torch.from_numpy(centres).float(),
    )


def _members(category: Tensor, categories: int) -> Tensor:
    """The items of every category, n after the last. (n,) -> (C, W)"""
    size = torch.bincount(category, minlength=categories)
    members = torch.full((categories, int(size.max())), len(category))
    members[torch.arange(members.shape[1]) < size[:, None]] = category.argsort(stable=True)
    return members


def _with_nothing(values: NDArray[np.floating]) -> Tensor:
    """A last row of 0 for "no item". (n, ...) -> (n + 1, ...) float32"""
    return torch.from_numpy(np.concatenate([values, np.zeros_like(values[:1])])).float()
