"""The policies that log the simulated sessions (section 7.1): random, max and mix."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class TellsInclusion(Protocol):
    """Whoever knows with what chance an item is shown in a given true state."""

    def inclusion(self, world: MDPWorld) -> Tensor:
        """The probability that an item stands in the slate of a state. (m, n) float64"""
        ...


class LoggingPolicy(Policy[NoMemory], TellsInclusion, Protocol):
    """A policy whose chance to show an item, and a slate, in a given true state is known."""

    def slate_log_chance(self, world: MDPWorld, slate: Tensor) -> Tensor:
        """Log probability of exactly ``slate`` (B, K), in its order, in every state. (B, m) float64"""
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

    def slate_log_chance(self, world: MDPWorld, slate: Tensor) -> Tensor:
        """The same for every slate without repeats. (B, K) -> (B, m)"""
        return world.reward.new_full(
            (len(slate), world.state_count), -_log_orders(self.catalogue_size, self.slate_size)
        )


class SlateTablePolicy(Memoryless):
    """Shows one fixed slate per true state. Observes the state: with the best slates, the oracle.

    ``slates`` (m, K), as in ``optimal_value(world).slates``.
    """

    def __init__(self, slates: Tensor) -> None:
        self.slates = slates

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The slates of the true states. (B, K)"""
        return self.slates[observed(scene)]

    def inclusion(self, world: MDPWorld) -> Tensor:
        """1 on the slate and 0 elsewhere. (m, n)"""
        return torch.zeros_like(world.reward).scatter(1, self.slates, 1.0)

    def slate_log_chance(self, world: MDPWorld, slate: Tensor) -> Tensor:  # noqa: ARG002
        """0 in the states whose slate ``slate`` (B, K) is, else -inf. (B, m)"""
        return _only(slate, self.slates)


class MaxPolicy(SlateTablePolicy):
    """Shows the items of highest reward in the true state, best first. Observes the state."""

    def __init__(self, world: MDPWorld) -> None:
        super().__init__(world.ranking[:, : world.slate_size])


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

    def slate_log_chance(self, world: MDPWorld, slate: Tensor) -> Tensor:  # noqa: ARG002
        """Half the max slate's plus half the band's. (B, K) -> (B, m)"""
        low, high = self.band
        best = _only(slate, self.ranking[:, : self.slate_size])
        rank = self.ranking.argsort(1)[:, slate]  # (m, B, K)
        inside = ((rank >= low) & (rank < high)).all(2).T  # (B, m)
        middling = inside.double().log() - _log_orders(high - low, self.slate_size)
        return torch.logaddexp(best, middling) - math.log(2)


class BlendedPolicy(Memoryless):
    """By a coin at every step: the slate of one logging policy, or of another.

    A share of `RandomPolicy` softens a policy that observes the state: every slate can then be logged.

    Args:
        first: shows its slate with chance ``share``.
        second: otherwise.
        share: in [0, 1].

    """

    def __init__(self, first: LoggingPolicy, second: LoggingPolicy, share: float) -> None:
        self.first = first
        self.second = second
        self.share = share

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:
        """Slates of the one or the other. (B, K)"""
        coin = torch.rand(state.sessions, 1, generator=generator) < self.share
        first, second = (policy.propose(state, scene, generator) for policy in (self.first, self.second))
        return torch.where(coin, first, second)

    def inclusion(self, world: MDPWorld) -> Tensor:
        """The mean of both, weighed. (m, n)"""
        return self.share * self.first.inclusion(world) + (1 - self.share) * self.second.inclusion(world)

    def slate_log_chance(self, world: MDPWorld, slate: Tensor) -> Tensor:
        """The mean of both chances, weighed. (B, K) -> (B, m)"""
        chances = torch.stack([policy.slate_log_chance(world, slate) for policy in (self.first, self.second)])
        shares = chances.new_tensor([self.share, 1 - self.share]).log()
        return (chances + shares[:, None, None]).logsumexp(0)


def logging_policies(world: MDPWorld) -> dict[str, LoggingPolicy]:
    """All three by name."""
    random = RandomPolicy(world.catalogue_size, world.slate_size)
    return {"random": random, "max": MaxPolicy(world), "mix": MixPolicy(world)}


def observed(scene: Scene) -> Tensor:
    """The true states (B, ...). Raises ValueError for a world that shows none."""
    if scene.hidden is None:
        raise ValueError("this policy observes the true state, and the world shows none")
    return scene.hidden


def _log_orders(items: int, size: int) -> float:
    """Log of the number of ways to show ``size`` of ``items`` in some order."""
    return math.lgamma(items + 1) - math.lgamma(items - size + 1)


def _only(slate: Tensor, slates: Tensor) -> Tensor:
    """0 where ``slate`` (B, K) is the one of a state in ``slates`` (m, K), else -inf. (B, m)"""
    return (slate[:, None] == slates).all(2).double().log()


def _choose(rows: int, items: int, size: int, generator: torch.Generator) -> Tensor:
    """``size`` of ``items`` numbers without replacement, in random order, on every row. (rows, size)"""
    noise = torch.rand(rows, items, dtype=torch.float64, generator=generator)
    return noise.topk(size, dim=1).indices
