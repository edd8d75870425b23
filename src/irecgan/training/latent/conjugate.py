"""Chances of counts, what is believed of their rates summed out."""

import torch
from torch import Tensor

SPREADS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
"""Pseudo-counts of a whole row that are tried."""


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    """The logarithm of the beta function, of one shape."""
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def row_evidence(counts: Tensor, prior: Tensor) -> Tensor:
    """Log chance of each row of moves (..., Z) under Dirichlet priors, (Z,) or (..., Z), up to a constant. (...,)"""
    strength = prior.sum(-1)
    cells = torch.lgamma(counts + prior) - torch.lgamma(prior)
    return cells.sum(-1) + torch.lgamma(strength) - torch.lgamma(strength + counts.sum(-1))


def likeliest_prior(counts: Tensor, centre: Tensor) -> Tensor:
    """The multiple of ``centre`` (Z,), by one of SPREADS, under which the rows ``counts`` (R, Z) are likeliest."""
    priors = (spread * centre for spread in SPREADS)
    return max(priors, key=lambda prior: float(row_evidence(counts, prior).sum()))
