"""Uniformly random slates, summed exactly without listing them."""

import math

import torch
from torch import Tensor

_STEP = 0.25
"""Of the trapezoid rule. Its error is about exp(-pi^2 / step): 1e-17 of the value."""
_NEGLIGIBLE_LOG = 40.0
"""Integrands below exp(-40) of the value are left out."""
_CELLS = 4_000_000
"""Numbers per working table: bounds the memory."""


def inclusion_over_sum(weight: Tensor, size: int) -> Tensor:
    """E[ 1{j in a} / sum of ``weight`` over a ] for a uniformly random subset a of ``size`` entries.

    ``weight`` (n,) float64, at least 0; returns (n,) float64, 0 where the weight is 0 (there the
    expectation can be infinite; whoever multiplies it by the weight wants 0).

    1 / R = integral of exp(-u R) over u > 0 turns the subset's sum into a product, whose mean over
    subsets is a ratio of elementary symmetric polynomials. With v = log u the integrand is smooth and
    falls off at both ends, so the trapezoid rule converges exponentially.

    >>> inclusion_over_sum(torch.tensor([0.5, 0.25], dtype=torch.float64), 1).round(decimals=10)
    tensor([1., 2.], dtype=torch.float64)
    """
    positive = weight > 0
    if not positive.any():
        return torch.zeros_like(weight)
    smallest, largest = weight[positive].min().item(), size * weight.max().item()
    begin, end = -_NEGLIGIBLE_LOG - math.log(largest), math.log(_NEGLIGIBLE_LOG + 5) - math.log(smallest)
    node = torch.arange(begin, end + _STEP, _STEP, dtype=torch.float64).exp()  # (U,)
    total = torch.zeros_like(weight)
    for part in node.split(max(1, _CELLS // (len(weight) * size))):
        factor = torch.exp(-part[:, None] * weight)  # (U, n)
        total += (part[:, None] * factor * _others_mean(factor, size - 1)).sum(0)
    return torch.where(positive, size / len(weight) * _STEP * total, 0.0)


def _others_mean(factor: Tensor, size: int) -> Tensor:
    """The mean product of ``size`` of the other entries, for every entry. (U, n) -> (U, n)"""
    items = factor.shape[1]
    before = _prefix_means(factor, size)  # (U, n, size + 1)
    after = _prefix_means(factor.flip(1), size).flip(1)  # (U, n, size + 1)
    share = _split_shares(items - 1, size).to(factor)  # (n, size + 1)
    return (share * before * after.flip(2)).sum(2)


def _prefix_means(factor: Tensor, size: int) -> Tensor:
    """Mean product of c of the entries before entry i, for c = 0 .. ``size``. (U, n) -> (U, n, size + 1)

    f(i, c) = (i - c) / i f(i - 1, c) + c / i x_i f(i - 1, c - 1): means of means, hence stable.
    """
    count = torch.arange(size + 1, dtype=factor.dtype)
    mean = torch.zeros(len(factor), size + 1, dtype=factor.dtype)
    mean[:, 0] = 1
    means = [mean]
    for i, x in enumerate(factor[:, :-1].unbind(1), start=1):
        kept = (i - count).clamp(min=0) / i * mean
        chosen = count[1:] / i * x[:, None] * mean[:, :-1]
        mean = kept + torch.nn.functional.pad(chosen, (1, 0))
        means.append(mean)
    return torch.stack(means, dim=1)


def _split_shares(others: int, size: int) -> Tensor:
    """P(c of ``size`` random ones of ``others`` entries are among the first i). (others + 1, size + 1)"""
    first = torch.arange(others + 1, dtype=torch.float64)[:, None]
    count = torch.arange(size + 1, dtype=torch.float64)
    log_ways = _log_choose(first, count) + _log_choose(others - first, size - count)
    total = _log_choose(
        torch.tensor(float(others), dtype=torch.float64), torch.tensor(float(size), dtype=torch.float64)
    )
    return (log_ways - total).exp()


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    possible = k <= n
    value = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma((n - k).clamp(min=0) + 1)
    return torch.where(possible, value, -torch.inf)
