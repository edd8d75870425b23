"""A policy over one catalogue, acting where items are numbered otherwise."""

from dataclasses import replace
from typing import Generic

import torch
from torch import Tensor

from irecgan.data.catalogue import Catalogue
from irecgan.policies.interface import Policy
from irecgan.rows import State
from irecgan.worlds.interface import Scene


class Translated(Generic[State]):
    """Shows the slates of ``policy`` under the item numbers of a world.

    Candidates that the policy does not know come last, in the order given.

    Args:
        policy: proposes items 0 .. n-1 of its own catalogue.
        outer: (n,) int64, the world's number of each item of the policy; no number twice.
        items: the number N of items in the world. Those the policy does not know reach it as item n.

    """

    def __init__(self, policy: Policy[State], outer: Tensor, items: int) -> None:
        self.policy = policy
        self.outer = outer
        self.inner = torch.full((items + 1,), len(outer)).scatter(0, outer, torch.arange(len(outer)))  # (N + 1,)

    @classmethod
    def from_catalogue(cls, policy: Policy[State], catalogue: Catalogue, items: int) -> "Translated[State]":
        """``policy`` over ``catalogue``, whose ids are the numbers of the world's items."""
        return cls(policy, torch.from_numpy(catalogue.items.to_numpy(writable=True)), items)

    def start(self, sessions: int) -> State:
        """The policy's state before the first slate."""
        return self.policy.start(sessions)

    def propose(self, state: State, scene: Scene, generator: torch.Generator) -> Tensor:
        """Slates (B, K) in the numbers of the world."""
        if scene.candidates is None:
            return self.outer[self.policy.propose(state, scene, generator)]
        known = self.inner[scene.candidates]  # (B, C)
        nothing = len(self.outer)
        slate = self.policy.propose(state, replace(scene, candidates=known), generator)  # (B, C)
        strange = slate == nothing  # as many on every row as candidates that are not known
        return self.outer[slate.clamp(max=nothing - 1)].masked_scatter(strange, scene.candidates[known == nothing])

    def advance(self, state: State, slate: Tensor, click: Tensor) -> State:
        """The policy's state after ``click`` (B,), in the numbers of the world."""
        return self.policy.advance(state, self.inner[slate], self.inner[click])
