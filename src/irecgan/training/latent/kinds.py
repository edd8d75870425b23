"""Kinds of slates: clusters of lists that hold the same items, as many as the log gives evidence of.

A kind holds every item with a chance of its own (independent Bernoulli draws). Clusters begin at slates that
are far from each other (k-means++, Arthur and Vassilvitskii, 2007), are fitted by EM, and are then merged as long
as the evidence of slates and assignments together rises: lists without any pattern end as one kind.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irecgan.data.ragged import ranges
from irecgan.training.latent.conjugate import log_beta
from irecgan.training.latent.trajectories import Trajectories

SAMPLE = 4_500
"""Slates, at most, that the clusters are learned from."""
_LEARNED = 0.75
"""Of the slates that are looked at: by the others it is decided how many clusters there are."""
_SEEDS = 96
"""Clusters to begin with, in small catalogues."""
_CELLS = 1_000_000
"""Clusters times items, at most."""
_LEAST = 8
"""Slates from which on more than one kind is looked for."""
_EACH = 4
"""Slates of a kind, at least, on average: of a list that is hardly shown twice no state is learned."""
_ROUNDS = 15
_STRENGTH = 1.0
"""Pseudo-slates of each kind, which hold items as all slates do."""


@dataclass(frozen=True)
class Kinds:
    """C kinds of slates."""

    logit: Tensor  # (C, n + 1) log odds that a slate holds an item; 0 for the unknown one
    base: Tensor  # (C,) log chance that it holds none

    def __len__(self) -> int:
        return len(self.base)


def find_kinds(steps: Trajectories, generator: torch.Generator) -> Kinds:
    """The kinds of the slates in ``steps``; one kind where there is no pattern."""
    logged = steps.logged.nonzero().squeeze(1)
    rows = logged[torch.randperm(len(logged), generator=generator)[: int(SAMPLE / _LEARNED)]]
    if len(rows) < _LEAST:
        few = _Slates(*_shown(steps, rows), steps.items)
        alone = torch.ones(len(few), 1, dtype=torch.float64)
        return kinds_of(few.counts(alone), alone.sum(0), few.marginal)
    parts = rows.split(math.ceil(_LEARNED * len(rows)))
    learn, test = (_Slates(*_shown(steps, part), steps.items) for part in parts)
    found, best = [], -torch.inf
    share = _chosen(learn, generator)
    if share.shape[1] > (most := max(1, len(learn) // _EACH)):
        share = _merged(learn, share, until=most)
    while True:
        kinds, total = kinds_of(learn.counts(share), share.sum(0), learn.marginal), share.sum(0)
        log_share = ((total + 1) / (total.sum() + len(total))).log()
        fit = float((test.total(kinds.logit.T) + kinds.base + log_share).logsumexp(1).sum())
        if fit > best:
            best, found = fit, [kinds]
        if len(kinds) == 1:
            return found[0]
        share = _merged(learn, share, until=len(kinds) // 2)


def kinds_of(count: Tensor, total: Tensor, marginal: Tensor) -> Kinds:
    """The kinds in which ``total`` (C,) slates hold each item ``count`` (C, n + 1) times."""
    # One chance for all items: those that every slate of a kind holds then stay equal.
    chance = (count + _STRENGTH * marginal[:-1].mean()) / (total[:, None] + _STRENGTH)
    chance = chance.clamp(1e-9, 1 - 1e-9)
    logit = chance.log() - (-chance).log1p()
    base = (-chance[:, :-1]).log1p().sum(1)
    logit[:, -1] = 0
    return Kinds(logit, base)


class _Slates:
    """S slates, with what is often asked of them."""

    def __init__(self, item: Tensor, start: Tensor, items: int) -> None:
        self.item, self.start, self.items = item, start, items
        self.sizes = torch.diff(torch.cat([start, start.new_tensor([len(item)])]))
        self.owner = torch.arange(len(start)).repeat_interleave(self.sizes)
        held = torch.bincount(item, minlength=items + 1).double()
        self.marginal = ((held + 0.5) / (len(start) + 1)).clamp(max=1 - 1e-9)  # (n + 1,)

    def __len__(self) -> int:
        return len(self.start)

    def total(self, table: Tensor) -> Tensor:
        """The sum of the rows of ``table`` (n + 1, C) over the items of each slate. (S, C)"""
        return nn.functional.embedding_bag(self.item, table, self.start, mode="sum")

    def counts(self, share: Tensor) -> Tensor:
        """How often each item occurs in slates that belong to clusters by ``share`` (S, C). (C, n + 1)"""
        counts = share.new_zeros(self.items + 1, share.shape[1])
        return counts.index_add_(0, self.item, share[self.owner]).T


def _shown(steps: Trajectories, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The items of the slates of ``rows``, and where each begins."""
    sizes = steps.item_start.diff()[rows]
    return steps.item[ranges(steps.item_start[rows], sizes)], sizes.cumsum(0) - sizes


def _chosen(slates: _Slates, generator: torch.Generator) -> Tensor:
    """The clusters that each slate belongs to. (S, C)"""
    seeds = max(2, min(_SEEDS, _CELLS // slates.items, len(slates)))
    share = _seeded(slates, seeds, generator)
    for _ in range(_ROUNDS):
        share = _fitted(slates, share)
        share = share[:, share.sum(0) > 0.5]
    hard = nn.functional.one_hot(share.argmax(1)).to(share)
    hard = _merged(slates, hard[:, hard.sum(0) > 0])
    for _ in range(_ROUNDS):
        hard = _fitted(slates, hard)
    hard = nn.functional.one_hot(hard.argmax(1)).to(share)
    return _merged(slates, hard[:, hard.sum(0) > 0])


def _seeded(slates: _Slates, seeds: int, generator: torch.Generator) -> Tensor:
    """Each slate with the nearest of ``seeds`` slates, chosen far from each other. (S, C)"""
    distance, owner = (
        torch.full((len(slates),), torch.inf, dtype=torch.float64),
        torch.zeros(len(slates), dtype=torch.int64),
    )
    for seed in range(seeds):
        weight = torch.ones_like(distance) if seed == 0 else distance**2
        if float(weight.sum()) <= 0:
            seeds = seed
            break
        chosen = int(torch.multinomial(weight, 1, generator=generator))
        held = torch.zeros(slates.items + 1, 1, dtype=torch.float64)
        held[slates.item[slates.owner == chosen]] = 1
        shared = slates.total(held).squeeze(1)
        other = 1 - shared / (slates.sizes + held.sum() - shared)  # Jaccard's distance
        owner = torch.where(other < distance, seed, owner)
        distance = distance.minimum(other)
    return nn.functional.one_hot(owner, seeds).to(distance)


def _fitted(slates: _Slates, share: Tensor) -> Tensor:
    """One step of EM from the assignment ``share`` (S, C). (S, C)"""
    total = share.sum(0)
    kinds = kinds_of(slates.counts(share), total, slates.marginal)
    log_chance = slates.total(kinds.logit.T) + kinds.base + (total + 1).log()
    return log_chance.softmax(1)


def _merged(slates: _Slates, hard: Tensor, until: int | None = None) -> Tensor:
    """The clusters merged by pairs, the best first, as long as the evidence rises, or ``until`` so many. (S, C)"""
    marginal = slates.marginal[:-1]
    count, total, members = slates.counts(hard)[:, :-1], hard.sum(0), hard
    alone = _evidence(count, total, marginal)
    slate_gain = torch.stack([_gains(count, total, marginal, alone, a) for a in range(len(total))])
    while len(total) > 1:
        gain = (slate_gain + _counting(total, len(total))).fill_diagonal_(-torch.inf)
        best = int(gain.argmax())
        if len(total) <= until if until else gain.flatten()[best] <= 0:
            break
        a, b = sorted((best // len(total), best % len(total)))
        count, total, members = (_joined(table, a, b) for table in (count.T, total, members))
        count = count.T
        kept = torch.arange(len(alone)) != b
        alone, slate_gain = alone[kept], slate_gain[kept][:, kept]
        alone[a] = _evidence(count[a : a + 1], total[a : a + 1], marginal)[0]
        slate_gain[a] = slate_gain[:, a] = _gains(count, total, marginal, alone, a)
    return members


def _joined(table: Tensor, a: int, b: int) -> Tensor:
    """``table`` (..., C) with column ``b`` added to ``a``. (..., C - 1)"""
    joined = table[..., torch.arange(table.shape[-1]) != b]
    joined[..., a] += table[..., b]
    return joined


def _gains(count: Tensor, total: Tensor, marginal: Tensor, alone: Tensor, a: int) -> Tensor:
    """What merging cluster ``a`` with each one adds to the log evidence of their slates. (C,)"""
    return _evidence(count[a] + count, total[a] + total, marginal) - alone[a] - alone


def _evidence(count: Tensor, total: Tensor, marginal: Tensor) -> Tensor:
    """The log evidence of the slates of each cluster. (C, n), (C,) -> (C,)"""
    a, b = _STRENGTH * marginal, _STRENGTH * (1 - marginal)
    return (log_beta(count + a, total[:, None] - count + b) - log_beta(a, b)).sum(1)


def _counting(total: Tensor, clusters: int) -> Tensor:
    """What a merge adds to the log chance of the assignments, a Dirichlet-multinomial with one pseudo-count each."""
    size = float(total.sum())
    fewer = (
        math.lgamma(clusters - 1)
        - math.lgamma(clusters)
        + math.lgamma(size + clusters)
        - math.lgamma(size + clusters - 1)
    )
    log_factorial = torch.lgamma(total + 1)
    return torch.lgamma(total[:, None] + total + 1) - log_factorial[:, None] - log_factorial + fewer
