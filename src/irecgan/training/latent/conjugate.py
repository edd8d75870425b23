"""Chances of counts, what is believed of their rates summed out."""

import torch
from torch import Tensor

SPREADS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
"""Pseudo-counts of a whole row that are tried."""
_CELLS = 4_000_000
"""Numbers per working table: bounds the memory."""


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
    found = evidence_by_spread(counts, centre)
    return SPREADS[found.index(max(found))] * centre


def evidence_by_spread(counts: Tensor, centre: Tensor) -> list[float]:
    """The log chance of the rows ``counts`` (R, Z) under priors around ``centre``, (Z,) or (R, Z), by SPREADS."""
    priors = torch.tensor(SPREADS, dtype=centre.dtype)[:, None, None] * centre  # (S, 1 or R, Z)
    rows = max(1, _CELLS // max(1, counts.numel()))
    return [float(row.sum()) for part in priors.split(rows) for row in row_evidence(counts, part)]
