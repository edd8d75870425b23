"""The state of policies that show one thing at first and another later."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Begun:
    """Whether the first slate of each of B sessions has been answered."""

    begun: Tensor  # (B,) bool

    def __len__(self) -> int:
        return len(self.begun)

    def take(self, rows: Tensor) -> "Begun":
        """A copy that holds the sessions ``rows`` (R,)."""
        return Begun(self.begun[rows])

    def join(self, others: Sequence["Begun"]) -> "Begun":
        """The sessions of this state and then those of ``others``."""
        return Begun(torch.cat([self.begun, *(other.begun for other in others)]))
