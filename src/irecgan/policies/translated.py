"""A policy over one catalogue, acting where items are numbered otherwise."""

from typing import Generic

import torch
from torch import Tensor

from irecgan.policies.interface import Policy
from irecgan.rows import State


class Translated(Generic[State]):
    """Shows the slates of ``policy`` under the item numbers of a world.

    Args:
        policy: proposes items 0 .. n-1 of its own catalogue.
        outer: (n,) int64, the world's number of each item of the policy; no number twice.
        items: the number N of items in the world. Those the policy does not know reach it as item n.

    """

    def __init__(self, policy: Policy[State], outer: Tensor, items: int) -> None:
        self.policy = policy
        self.outer = outer
        self.inner = torch.full((items,), len(outer)).scatter(0, outer, torch.arange(len(outer)))  # (N,)

    def start(self, sessions: int) -> State:
        """The policy's state before the first slate."""
        return self.policy.start(sessions)

    def propose(self, state: State, hidden: Tensor | None, generator: torch.Generator) -> Tensor:
        """Slates (B, K) in the numbers of the world."""
        return self.outer[self.policy.propose(state, hidden, generator)]

    def advance(self, state: State, slate: Tensor, click: Tensor) -> State:
        """The policy's state after ``click`` (B,), in the numbers of the world."""
        return self.policy.advance(state, self.inner[slate], self.inner[click])
