"""What policies are worth at best in a simulated world, exactly: the ceilings of section 7.1's test."""

from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.worlds.mdp import MDPWorld, mix_band
from irecgan.worlds.subsets import inclusion_over_sum
from irecgan.worlds.values import best_slates, candidate_values, refuse_endless, slate_candidates, worth

_CONVERGED = 1e-12
"""Relative gain of a round of policy iteration below which the slates are taken as best."""


@dataclass(frozen=True)
class OracleSolution:
    """The best that a policy that observes the true state can do."""

    value: float
    """Expected cumulative reward of a session."""
    values: Tensor  # (m,) float64, expected reward from each state on
    slates: Tensor  # (m, K) int64, the best slate of each state, by falling reward


def optimal_value(world: MDPWorld) -> OracleSolution:
    """The best state-observing policy, by policy iteration over slates of exactly K items.

    A slate a earns sum_j r_j r_j (1 + P_j V) / sum_j r_j over its items; the best one for given V is
    found by ``best_slates``. Raises UserError in a world where some policy's sessions never end.
    """
    refuse_endless(world)
    slates = world.ranking[:, : world.slate_size]
    values = policy_value(world, slates)
    while True:
        slates, _ = best_slates(world.reward, worth(world, values), slates)
        improved = policy_value(world, slates)
        gain = (improved - values) / values.clamp(min=1.0)
        values = improved
        if gain.max() <= _CONVERGED:
            break
    order = world.reward.gather(1, slates).argsort(dim=1, descending=True, stable=True)
    return OracleSolution(float(values[world.start_state]), values, slates.gather(1, order))


def policy_value(world: MDPWorld, slates: Tensor) -> Tensor:
    """Expected rewards from each state on, of one fixed slate per true state. (m, K) -> (m,) float64"""
    return candidate_values(world, slate_candidates(world.reward, slates))


def max_values(world: MDPWorld) -> Tensor:
    """Expected rewards from each state on of the max policy. (m,) float64"""
    return policy_value(world, world.ranking[:, : world.slate_size])


def random_values(world: MDPWorld) -> Tensor:
    """Expected rewards from each state on of uniformly random slates. (m,) float64"""
    return candidate_values(world, _random_candidates(world.reward, world.slate_size))


def mix_values(world: MDPWorld) -> Tensor:
    """Expected rewards from each state on of the mix policy. (m,) float64"""
    ranking = world.ranking
    low, high = mix_band(world.catalogue_size, world.slate_size)
    band = ranking[:, low:high]  # (m, W)
    middling = _random_candidates(world.reward.gather(1, band), world.slate_size)
    best = slate_candidates(world.reward, ranking[:, : world.slate_size])
    return candidate_values(world, 0.5 * best + 0.5 * torch.zeros_like(best).scatter(1, band, middling))


def reference_values(world: MDPWorld) -> dict[str, float]:
    """Expected cumulative reward of a session under the oracle, max, mix and random policies."""
    start = world.start_state
    return {
        "oracle": optimal_value(world).value,
        "max": float(max_values(world)[start]),
        "mix": float(mix_values(world)[start]),
        "random": float(random_values(world)[start]),
    }


def _random_candidates(reward: Tensor, size: int) -> Tensor:
    """The chance of every item to be the candidate of a random slate. (m, W) -> (m, W)"""
    return torch.stack([row * inclusion_over_sum(row, size) for row in reward])
