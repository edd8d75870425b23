"""Rows of few features each, as item and context columns give them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.data.ragged import offsets, padded, ranges, runs


@dataclass(frozen=True)
class PaddedRows:
    """Features of rows of any shape, padded to the same number; where padded the weight is 0."""

    feature: Tensor  # (..., W) int64
    weight: Tensor  # (..., W) float32

    def to(self, device: torch.device | str) -> "PaddedRows":
        """The same on another device."""
        return PaddedRows(self.feature.to(device), self.weight.to(device))


@dataclass(frozen=True)
class SparseRows:
    """R rows, each a weighted sum of features: the matrix (R, features) without its zeros."""

    start: Tensor  # (R + 1,) int64: the entries of row r are start[r] .. start[r + 1]
    feature: Tensor  # (P,) int64, or int32 where rows are stored
    weight: Tensor  # (P,) float32

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def sizes(self) -> Tensor:
        """Features of each row. (R,) int64"""
        return self.start.diff()

    def select(self, rows: Tensor) -> "SparseRows":
        """The rows ``rows`` (S,), in that order."""
        first, sizes = runs(self.start, rows)
        entry = ranges(first, sizes)
        return SparseRows(offsets(sizes), self.feature[entry].long(), self.weight[entry])

    def padded(self, rows: Tensor) -> PaddedRows:
        """The rows ``rows``, of any shape, padded to the longest of them."""
        first, sizes = runs(self.start, rows.flatten())
        real, entry = padded(first, sizes)  # (S, W)
        feature = torch.where(real, self.feature[entry].long(), 0)
        weight = torch.where(real, self.weight[entry], 0.0)
        return PaddedRows(feature.unflatten(0, rows.shape), weight.unflatten(0, rows.shape))

    @classmethod
    def concat(cls, parts: Sequence["SparseRows"]) -> "SparseRows":
        """The rows of all ``parts``, one after the other."""
        sizes = torch.cat([part.sizes for part in parts])
        feature, weight = (torch.cat([getattr(part, name) for part in parts]) for name in ("feature", "weight"))
        return cls(offsets(sizes), feature, weight)

    @classmethod
    def marks(cls, row: Tensor, feature: Tensor, rows: int) -> "SparseRows":
        """``rows`` rows in which each ``feature`` (P,) weighs 1 in its ``row`` (P,), rising."""
        return cls(offsets(torch.bincount(row, minlength=rows)), feature, torch.ones(len(feature)))

    @classmethod
    def empty(cls, rows: int) -> "SparseRows":
        """``rows`` rows without features."""
        return cls(torch.zeros(rows + 1, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0))

    @classmethod
    def repeated(cls, feature: Tensor, weight: Tensor, rows: int) -> "SparseRows":
        """``rows`` rows, each of the same ``feature`` (C,) with the same ``weight`` (C,)."""
        return cls(torch.arange(rows + 1) * len(feature), feature.repeat(rows), weight.repeat(rows))
