"""What is believed of a state's numbers before its counts are seen, learned from all counts (empirical Bayes).

Three things are shared: how attractive an item is by the rank that the log gives it in a state (a list is
seldom made without any idea of what is good, and what is never shown in a state is seldom its best), how far
single items depart from that, and how far the moves after single clicks depart from the state's own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irecgan.models.latent import LatentTables
from irecgan.training.latent.conjugate import SPREADS, evidence_by_spread, likeliest_prior, log_beta
from irecgan.training.latent.expectation import Expectation
from irecgan.training.latent.kinds import SAMPLE

Column = NDArray[np.float64]  # one number an item: on columns so short numpy is quicker than torch

_STRENGTHS = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.float64)
_LOWEST, _HIGHEST = 0.02, 0.98
"""Attractiveness is taken to lie between these, however far the line of ranks is drawn out."""
_NEWTON = 10
_CHANCE = 4.0
"""Standard errors by which the first and the last of some equal items may differ."""
_OBSERVED = 1e-3
"""Expected counts below this are none."""


@dataclass(frozen=True)
class Priors:
    """Pseudo-counts of everything that EM estimates."""

    start: Tensor  # (Z,)
    click: Tensor  # (Z, n + 1) candidates that were clicked
    refusal: Tensor  # (Z, n + 1) candidates that were not
    moves: Tensor  # (n + 1, Z, Z)
    kind: float
    leave: float = 0.5


def flat_priors(states: int, items: int, *, strength: float = 2.0, spread: float = 1.0) -> Priors:
    """Priors that know nothing, for a first pass."""
    half = torch.full((states, items + 1), 0.5 * strength, dtype=torch.float64)
    moves = torch.full((1, 1, states), spread / states, dtype=torch.float64).expand(items + 1, states, states)
    return Priors(torch.full((states,), 1 / states, dtype=torch.float64), half, half, moves, kind=0.1)


def learned_priors(expected: Expectation, tables: LatentTables) -> Priors:
    """The priors under which the counts are most likely, of those considered."""
    mean, strength = attraction(expected, logged_ranks(expected, tables))
    return Priors(
        start=torch.full_like(expected.start, 0.01),
        click=strength * mean,
        refusal=strength * (1 - mean),
        moves=move_priors(expected),
        kind=0.1,
    )


@dataclass(frozen=True)
class Ranks:
    """The ranks of items in states."""

    rank: Tensor  # (Z, n + 1) from 0
    equal: Tensor  # (Z, n + 1) items that share it


def logged_ranks(expected: Expectation, tables: LatentTables) -> Ranks:
    """The rank of every item in every state by how often, and then how high, the log shows it there.

    Items that do not differ by more than chance share their mean rank. How often is taken from the kinds of
    slates, which hold fewer numbers than the states.
    """
    chance = torch.sigmoid(tables.kind_logit)  # (C, n + 1)
    rate = tables.kind_share @ chance  # (Z, n + 1)
    # Kinds are known from a sample of the slates, however many the log has.
    sample = expected.kind * (SAMPLE / expected.kind.sum()).clamp(max=1)  # (Z, C)
    rate_error = (tables.kind_share**2 / (sample + 1)) @ (chance * (1 - chance))
    shown = expected.shown.clamp(min=_OBSERVED)
    place = expected.place[0] / shown
    place_error = (expected.place[1] / shown - place**2).clamp(min=0) / shown
    seen = expected.shown > 0.5
    rows = [torch.where(seen, rate, -1.0), *(torch.where(seen, row, 0.0) for row in (rate_error, place, place_error))]
    by_state = zip(*(row[:, :-1].numpy() for row in rows), strict=True)
    found = torch.from_numpy(np.stack([_mean_ranks(*state) for state in by_state])).to(rate)  # (Z, 2, n)
    items = found.shape[2]
    unknown = found.new_tensor([(items - 1) / 2, items]).expand(len(found), 2)
    rank, equal = torch.cat([found, unknown[..., None]], dim=2).unbind(1)
    return Ranks(rank, equal)


def attraction(expected: Expectation, ranks: Ranks) -> tuple[Tensor, Tensor]:
    """What the ranks say of how attractive items are: means and strengths of beta priors. Two (Z, n + 1)

    The means lie on a line, the likeliest one if all items lay on it. Items of one rank may lie anywhere on its
    stretch: the more share it, the less is known of each.
    """
    mean, slope = _line(expected, ranks.rank)
    shared = (slope * ranks.equal) ** 2 / 12 / (mean * (1 - mean))  # variance of a uniform draw, over the largest
    strengths = 1 / (1 / _STRENGTHS[:, None, None] + shared)  # (S, Z, n + 1)
    return mean, strengths[_answer_evidence(expected, mean, strengths).argmax()]


def move_priors(expected: Expectation) -> Tensor:
    """Pseudo-counts of the moves: a centre (of the state, of the item, or of all) times a strength. (n + 1, Z, Z)

    A centre is judged by the moves of others alone: of a state's by the clicks on its other items, and so on.
    """
    moves = expected.moves
    overall = moves.sum((0, 1)) + 1 / moves.shape[1]
    overall = overall / overall.sum()
    of_state, of_item = moves.sum(0), moves.sum(1)  # (Z, Z), (n + 1, Z)
    state_prior, item_prior = (_spread(counts, overall) for counts in (of_state, of_item))
    seen = moves.sum(2) > _OBSERVED
    counts = moves[seen]
    found: list[tuple[float, float, Tensor]] = []
    for whole, prior in ((of_state[None], state_prior), (of_item[:, None], item_prior), (0 * of_state[None], overall)):
        without = _shares((whole - moves).clamp(min=0) * bool((whole > 0).any()) + prior)
        by_spread = zip(evidence_by_spread(counts, without[seen]), SPREADS, strict=True)
        found += [(evidence, spread, whole + prior) for evidence, spread in by_spread]
    _, spread, centre = max(found, key=lambda one: one[0])
    return spread * _shares(centre).expand_as(moves)


def _spread(counts: Tensor, centre: Tensor) -> Tensor:
    """Pseudo-counts (Z,) around ``centre`` (Z,) under which the rows ``counts`` (R, Z) are likeliest."""
    return likeliest_prior(counts[counts.sum(1) > _OBSERVED], centre)


def _shares(counts: Tensor) -> Tensor:
    """``counts`` (..., Z) as shares of their rows."""
    return counts / counts.sum(-1, keepdim=True)


def _line(expected: Expectation, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Attractiveness by rank, and its slope: never above 0. (Z, n + 1), ()

    Newton's method for the most of a log r + b log(1 - r) - e r, which is concave; see `tied_survival`.
    """
    a = expected.candidate + expected.click
    b = (expected.candidate - expected.click).clamp(min=0)
    x = rank / rank.shape[1]
    seen = expected.candidate > _OBSERVED
    line = torch.tensor([float(expected.click.sum() / expected.candidate.sum().clamp(min=_OBSERVED)), 0.0]).double()
    basis = torch.stack([torch.ones_like(x[seen]), x[seen]], dim=1)  # (M, 2)
    a, b, e = a[seen], b[seen], expected.showing[seen]
    # A pseudo-observation of no slope: where all items are alike there is none to be found.
    observed, sloping = torch.eye(2), torch.tensor([0.0, 1.0]).double()
    for _ in range(_NEWTON):
        r = (basis @ line).clamp(_LOWEST, _HIGHEST)
        no = 1 - r
        gradient = basis.T @ (a / r - b / no - e) - sloping * line
        curvature = (basis * (a / r**2 + b / no**2)[:, None]).T @ basis + observed
        line = line + torch.linalg.solve(curvature, gradient)
        # It falls, and no further than to 0 at the last rank: what was never shown has to be somewhere between.
        line[1] = line[1].clamp(max=0.0).maximum(-line[0])
    return (line[0] + line[1] * x).clamp(_LOWEST, _HIGHEST), line[1] / rank.shape[1]


def _answer_evidence(expected: Expectation, mean: Tensor, strengths: Tensor) -> Tensor:
    """The log chance of the candidates that were clicked and not under beta priors of each of the strengths. (S,)"""
    yes, no = expected.click, (expected.candidate - expected.click).clamp(min=0)
    a, b = strengths * mean, strengths * (1 - mean)
    cells = log_beta(yes + a, no + b) - log_beta(a, b)
    return torch.stack([of_strength.sum() for of_strength in cells])


def _mean_ranks(rate: Column, rate_error: Column, place: Column, place_error: Column) -> Column:
    """Ranks from 0 by falling rate, then by rising place, and how many share them. (2, n)

    Those that differ by chance share their mean. The errors are variances.
    """
    group = _groups(-rate, rate_error)
    found = np.empty((2, len(rate)))
    first = 0
    for g in range(int(group.max()) + 1):
        members = np.flatnonzero(group == g)
        within = _groups(place[members], place_error[members])
        counts = np.bincount(within)
        begin = counts.cumsum() - counts
        found[0, members] = first + (begin + (counts - 1) / 2)[within]
        found[1, members] = counts[within]
        first += len(members)
    return found


def _groups(value: Column, error: Column) -> NDArray[np.int64]:
    """Groups, numbered by rising value, within which values do not differ from the first by more than chance. (n,)"""
    group = np.empty(len(value), dtype=np.int64)
    order = value.argsort(kind="stable")
    ordered, sd = value[order].tolist(), np.sqrt(error[order]).tolist()
    lead, number, found = 0, 0, []
    for i, v in enumerate(ordered):
        if v - ordered[lead] > _CHANCE * (sd[i] + sd[lead]) / 2**0.5 + 1e-6:
            lead, number = i, number + 1
        found.append(number)
    group[order] = found
    return group
