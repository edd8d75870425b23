"""Chances of counts, what is believed of their rates summed out."""

from collections.abc import Iterable

import torch
from torch import Tensor


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    """The logarithm of the beta function, of one shape."""
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def row_evidence(counts: Tensor, prior: Tensor) -> Tensor:
    """Log chance of each row of moves (..., Z) under Dirichlet priors, (Z,) or (..., Z), up to a constant. (...,)"""
    strength = prior.sum(-1)
    cells = torch.lgamma(counts + prior) - torch.lgamma(prior)
    return cells.sum(-1) + torch.lgamma(strength) - torch.lgamma(strength + counts.sum(-1))


def likeliest_prior(counts: Tensor, priors: Iterable[Tensor]) -> Tensor:
    """The prior (Z,) of ``priors`` under which the rows ``counts`` (R, Z) are likeliest."""
    return max(priors, key=lambda prior: float(row_evidence(counts, prior).sum()))
