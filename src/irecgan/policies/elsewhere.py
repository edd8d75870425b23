"""A ranker on another device, in a world on this one."""

from typing import Generic

import torch
from torch import Tensor

from irecgan.policies.interface import Ranker
from irecgan.rows import State


class Elsewhere(Generic[State]):
    """Has ``ranker`` score on ``device``; clicks go there and scores come back at every step.

    Slates are then drawn where the world draws, from the same generator: a seed draws on a GPU what it draws without
    one, up to the rounding of scores. States stay on the device, and are thinned out there.
    """

    def __init__(self, ranker: Ranker[State], device: torch.device) -> None:
        self.ranker = ranker
        self.device = device

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.ranker.catalogue_size

    def start(self, sessions: int) -> State:
        """The state before the first slate."""
        return self.ranker.start(sessions)

    def scores(self, state: State) -> Tensor:
        """Scores of all items. (B, n)"""
        return self.ranker.scores(state).cpu()

    def scores_of(self, state: State, items: Tensor) -> Tensor:
        """Scores of ``items`` (B, C) alone. (B, C)"""
        return self.ranker.scores_of(state, items.to(self.device)).cpu()

    def advance(self, state: State, click: Tensor) -> State:
        """The state after ``click`` (B,)."""
        return self.ranker.advance(state, click.to(self.device))
