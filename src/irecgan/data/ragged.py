"""Runs of entries of different length, stored one after the other."""

import torch
from torch import Tensor


def offsets(counts: Tensor) -> Tensor:
    """Where each of R runs of ``counts`` (R,) entries starts, and where the last one ends. (R + 1,)"""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def ranges(start: Tensor, counts: Tensor) -> Tensor:
    """The concatenation of ``start[i] .. start[i] + counts[i]``."""
    ends = counts.cumsum(0)
    return torch.arange(int(counts.sum()), device=counts.device) + (start - (ends - counts)).repeat_interleave(counts)


def runs(starts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Where each of the runs ``rows`` begins, and how long it is; without looking at the others. Two of rows' shape"""
    first = starts[rows]
    return first, starts[rows + 1] - first


def padded(start: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mask (R, W) of real entries and their flat index (R, W); padding points at a valid entry."""
    width = int(counts.max()) if len(counts) else 0
    column = torch.arange(width, device=counts.device)
    real = column < counts[:, None]
    return real, torch.where(real, start[:, None] + column, 0)
