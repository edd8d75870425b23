"""EM: the E-step and the M-step in turn."""

import torch
from torch import Tensor

from irecgan.models.latent import LatentTables
from irecgan.training.latent.expectation import (
    answer_chances,
    expect,
    forward,
    kind_log_chances,
    slate_log_chances,
)
from irecgan.training.latent.maximisation import maximise
from irecgan.training.latent.priors import Priors, learned_priors
from irecgan.training.latent.trajectories import Trajectories


def run_em(
    tables: LatentTables,
    steps: Trajectories,
    priors: Priors,
    *,
    iterations: int,
    ends_logged: bool = True,
    learn_priors: bool = True,
    tolerance: float = 1e-5,
) -> LatentTables:
    """At most ``iterations`` steps, or until the log likelihood gains less than ``tolerance`` of itself.

    ``learn_priors``: from the counts of every E-step, beginning with ``priors``.
    """
    kinds, before = kind_log_chances(tables, steps), -torch.inf
    for _ in range(iterations):
        expected = expect(tables, steps, kinds)
        if learn_priors:
            priors = learned_priors(expected, tables)
        tables = maximise(tables, expected, priors, ends_logged=ends_logged)
        if abs(expected.log_likelihood - before) < tolerance * abs(expected.log_likelihood):
            break
        before = expected.log_likelihood
    return tables


def evidence(tables: LatentTables, steps: Trajectories) -> tuple[Tensor, Tensor]:
    """Log chances of each step's slate given the history, and of its answer given slate and history. Both (N,)"""
    slate = slate_log_chances(tables, kind_log_chances(tables, steps))
    answer = answer_chances(tables, steps).log()
    beliefs = forward(tables, steps, slate + answer)
    peak = slate.max(1, keepdim=True).values
    seen = ((beliefs.before * (slate - peak).exp()).sum(1)).log() + peak.squeeze(1)
    return seen, beliefs.log_mass - seen
