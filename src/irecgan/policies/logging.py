"""The policies that log the simulated sessions (section 7.1): random, max and mix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from irecgan.policies.interface import Policy
from irecgan.worlds.interface import Scene
from irecgan.worlds.mdp import MDPWorld, mix_band


@dataclass(frozen=True)
class NoMemory:
    """The state of a policy that remembers nothing: only how many sessions there are."""

    sessions: int

    def __len__(self) -> int:
        return self.sessions

    def take(self, rows: Tensor) -> "NoMemory":
        """As many sessions as ``rows`` (R,)."""
        return NoMemory(len(rows))

    def join(self, others: Sequence["NoMemory"]) -> "NoMemory":
        """The sessions of this state and then those of ``others``."""
        return NoMemory(self.sessions + sum(other.sessions for other in others))


class Memoryless:
    """The half of a policy that forgets: every slate is made anew."""

    def start(self, sessions: int) -> NoMemory:
        """Nothing is known."""
        return NoMemory(sessions)

    def advance(self, state: NoMemory, slate: Tensor, click: Tensor) -> NoMemory:  # noqa: ARG002
        """Nothing is learned."""
        return state


class LoggingPolicy(Policy[NoMemory], Protocol):
    """A policy whose chance to show an item in a given true state is known."""

    def inclusion(self, world: MDPWorld) -> Tensor:
        """The probability that an item stands in the slate of a state. (m, n) float64"""
        ...


class RandomPolicy(Memoryless):
    """Shows ``slate_size`` items drawn uniformly without replacement, in random order."""

    def __init__(self, catalogue_size: int, slate_size: int) -> None:
        if not 1 <= slate_size <= catalogue_size:
            raise ValueError(f"slate_size: found {slate_size}, expected 1 to {catalogue_size}")
        self.catalogue_size = catalogue_size
        self.slate_size = slate_size

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Random slates. (B, K)"""
        return _choose(state.sessions, self.catalogue_size, self.slate_size, generator)

    def inclusion(self, world: MDPWorld) -> Tensor:
        """K / n everywhere. (m, n)"""
        return torch.full_like(world.reward, self.slate_size / self.catalogue_size)


class MaxPolicy(Memoryless):
    """Shows the items of highest reward in the true state, best first. Observes the state."""

    def __init__(self, world: MDPWorld) -> None:
        self.slates = world.ranking[:, : world.slate_size]  # (m, K)

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The best slates of the true states. (B, K)"""
        return self.slates[observed(scene)]

    def inclusion(self, world: MDPWorld) -> Tensor:
        """1 on the slate and 0 elsewhere. (m, n)"""
        return torch.zeros_like(world.reward).scatter(1, self.slates, 1.0)


class MixPolicy(Memoryless):
    """By a fair coin at every step: the max slate, or random items of middling reward. Observes the state.

    The middling items stand at the top 20 % to 50 % of the true state's rewards; see ``mix_band`` for
    catalogues in which they cannot fill a slate.
    """

    def __init__(self, world: MDPWorld) -> None:
        self.ranking = world.ranking  # (m, n)
        self.slate_size = world.slate_size
        self.band = mix_band(world.catalogue_size, world.slate_size)

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:
        """Max slates or random slates of the band. (B, K)"""
        low, high = self.band
        middling = low + _choose(state.sessions, high - low, self.slate_size, generator)  # (B, K) ranks
        best = torch.arange(self.slate_size)
        coin = torch.rand(state.sessions, 1, generator=generator) < 0.5
        return self.ranking[observed(scene)[:, None], torch.where(coin, best, middling)]

    def inclusion(self, world: MDPWorld) -> Tensor:
        """Half the max slate's plus half the band's. (m, n)"""
        low, high = self.band
        by_rank = torch.zeros_like(world.reward)
        by_rank[:, : self.slate_size] += 0.5
        by_rank[:, low:high] += 0.5 * self.slate_size / (high - low)
        return torch.zeros_like(by_rank).scatter(1, self.ranking, by_rank)


def logging_policies(world: MDPWorld) -> dict[str, LoggingPolicy]:
    """All three by name."""
    random = RandomPolicy(world.catalogue_size, world.slate_size)
    return {"random": random, "max": MaxPolicy(world), "mix": MixPolicy(world)}


def observed(scene: Scene) -> Tensor:
    """The true states (B, ...). Raises ValueError for a world that shows none."""
    if scene.hidden is None:
        raise ValueError("this policy observes the true state, and the world shows none")
    return scene.hidden


def _choose(rows: int, items: int, size: int, generator: torch.Generator) -> Tensor:
    """``size`` of ``items`` numbers without replacement, in random order, on every row. (rows, size)"""
    noise = torch.rand(rows, items, dtype=torch.float64, generator=generator)
    return noise.topk(size, dim=1).indices
