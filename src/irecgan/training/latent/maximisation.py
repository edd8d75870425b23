"""The M-step: the numbers under which the expected counts, with their priors, are most likely."""

from dataclasses import replace

import torch
from torch import Tensor

from irecgan.models.latent import SMALLEST, LatentTables
from irecgan.training.latent.expectation import Expectation
from irecgan.training.latent.priors import Priors

_REWARDS = 5.0
"""Pseudo-clicks by which mean rewards are drawn to what is common."""


def maximise(tables: LatentTables, expected: Expectation, priors: Priors, *, ends_logged: bool) -> LatentTables:
    """New tables; the kinds' own numbers stay.

    An item's weight as a candidate is its survival. ``ends_logged``: whether the slates at which users left are in
    the log; without them weights are free, and a state's users leave with one chance, whatever they are shown.
    """
    leave = _share(expected.leave[:, 1], expected.leave[:, 0], priors.leave, priors.leave)
    if not ends_logged:
        clicks = expected.click.sum(1) + expected.leave[:, 0]
        leave = _share(expected.leave[:, 1], clicks, priors.leave, priors.leave)
        weight = _weights(expected)
        survival = (1 - leave)[:, None].expand_as(weight).contiguous()
    else:
        survival = tied_survival(expected, priors)
        weight = _without_unknown(survival)
    moves = expected.moves + priors.moves
    kind = expected.kind + priors.kind / expected.kind.shape[1]
    start = expected.start + priors.start
    return replace(
        tables,
        start=start / start.sum(),
        weight=weight,
        survival=survival,
        reward=mean_rewards(expected),
        transition=moves / moves.sum(2, keepdim=True),
        leave=leave,
        kind_share=kind / kind.sum(1, keepdim=True),
    )


def log_prior(tables: LatentTables, priors: Priors) -> float:
    """What EM adds to the log likelihood: together they never fall."""
    found = (priors.start * _log(tables.start)).sum() + (priors.moves * _log(tables.transition)).sum()
    found = found + (priors.click * _log(tables.survival) + priors.refusal * _log(1 - tables.survival)).sum()
    found = found + priors.leave * (_log(tables.leave) + _log(1 - tables.leave)).sum()
    return float(found + priors.kind / tables.kind_share.shape[1] * _log(tables.kind_share).sum())


def tied_survival(expected: Expectation, priors: Priors) -> Tensor:
    """R that raises a log r + b log(1 - r) - e r most, for weights that are survivals. (Z, n + 1)

    The log of a slate's weight is bounded by its tangent (Hunter, 2004, "MM algorithms for generalized
    Bradley-Terry models"): e sums 1 / (weight of the slate) over the slates that hold the item.
    """
    a = expected.candidate + expected.click + priors.click
    b = (expected.candidate - expected.click).clamp(min=0) + priors.refusal
    e = expected.showing
    middle = a + b + e
    # The smaller root of e r^2 - (a + b + e) r + a, in the form that is stable for small e.
    return (2 * a / (middle + (middle**2 - 4 * e * a).clamp(min=0).sqrt())).clamp(1e-6, 1 - 1e-6)


def mean_rewards(expected: Expectation) -> Tensor:
    """The mean reward of a click, drawn towards the item's over all states, and that towards the mean. (Z, n + 1)"""
    overall = expected.reward.sum() / expected.click.sum().clamp(min=SMALLEST)
    item = (expected.reward.sum(0) + _REWARDS * overall) / (expected.click.sum(0) + _REWARDS)
    return (expected.reward + _REWARDS * item) / (expected.click + _REWARDS)


def _weights(expected: Expectation) -> Tensor:
    """One step of the same method for weights of their own, with a gamma prior of mean 1."""
    return _without_unknown((expected.candidate + 1) / (expected.showing + 1))


def _without_unknown(weight: Tensor) -> Tensor:
    """The weights, with 0 for the unknown item."""
    return torch.cat([weight[:, :-1], torch.zeros_like(weight[:, -1:])], dim=1)


def _share(yes: Tensor, no: Tensor, prior_yes: Tensor | float, prior_no: Tensor | float) -> Tensor:
    return (yes + prior_yes) / (yes + no.clamp(min=0) + prior_yes + prior_no)


def _log(chance: Tensor) -> Tensor:
    return chance.clamp(min=SMALLEST).log()
