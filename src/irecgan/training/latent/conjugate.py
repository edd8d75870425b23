"""Chances of counts, what is believed of their rates summed out."""

import torch
from torch import Tensor


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    """The logarithm of the beta function, of one shape."""
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def row_evidence(counts: Tensor, prior: Tensor) -> float:
    """The log chance of moves (R, Z) under Dirichlet priors (R, Z) of their rows, up to a constant."""
    total, strength = counts.sum(1), prior.sum(1)
    rows = torch.lgamma(strength) - torch.lgamma(strength + total)
    return float(rows.sum() + (torch.lgamma(prior + counts) - torch.lgamma(prior)).sum())
