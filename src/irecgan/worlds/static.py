"""The best slates for someone who learns nothing from clicks: one for the start, one for all that follows."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.worlds.mdp import MDPWorld
from irecgan.worlds.values import best_slates, candidate_values, slate_candidates, worth

_EXHAUSTIVE = 10_000
"""Up to this many possible slates all of them are tried."""
_CHUNK = 1_000
_CLIMBS = 16
"""Paths of the search: from the best of its starts."""


@dataclass(frozen=True)
class StaticSolution:
    """A first slate for the start state, and one slate for every later step."""

    value: float
    """Expected cumulative reward of a session."""
    first: Tensor  # (K,) int64, by falling reward in the start state
    later: Tensor  # (K,) int64, by falling mean reward of the states
    exhaustive: bool
    """True when every possible slate was tried; else a local search found it: a lower bound."""


def best_static_slate(world: MDPWorld) -> StaticSolution:
    """The best pair of fixed slates that knows the world and sees nothing of the session.

    Every later slate is valued exactly (a linear solve), with the best first slate for it. Beyond
    ``_EXHAUSTIVE`` possible slates: steepest-ascent swaps of one item from several starts. Raises
    UserError when sessions of a slate that is tried never end.
    """
    exhaustive = math.comb(world.catalogue_size, world.slate_size) <= _EXHAUSTIVE
    if exhaustive:
        every = torch.tensor(list(itertools.combinations(range(world.catalogue_size), world.slate_size)))
        later = every[_values(world, every)[0].argmax()]
    else:
        later = _search(world)
    value, first = _values(world, later[None])
    return StaticSolution(
        value=float(value),
        first=_by_reward(world.reward[world.start_state], first[0]),
        later=_by_reward(world.reward.mean(0), later),
        exhaustive=exhaustive,
    )


def _values(world: MDPWorld, later: Tensor) -> tuple[Tensor, Tensor]:
    """Values (C,) and best first slates (C, K) of the later slates (C, K)."""
    parts = [_values_of_chunk(world, part) for part in later.split(_CHUNK)]
    return torch.cat([value for value, _ in parts]), torch.cat([first for _, first in parts])


def _values_of_chunk(world: MDPWorld, later: Tensor) -> tuple[Tensor, Tensor]:
    count, states = len(later), world.state_count
    reward = world.reward.expand(count, -1, -1)  # (C, m, n)
    candidate = slate_candidates(reward, later[:, None].expand(-1, states, -1))
    start = world.start_state
    now = worth(world, candidate_values(world, candidate))[:, start]  # (C, n)
    first, value = best_slates(reward[:, start], now, later)
    return value, first


def _starts(world: MDPWorld) -> Tensor:
    """Slates to start the search from: best for all states on average, for each, for each two. (S, K)"""
    pairs = torch.combinations(torch.arange(world.state_count))
    scores = torch.cat([world.reward.mean(0, keepdim=True), world.reward, world.reward[pairs].mean(1)])
    slates: Tensor = scores.topk(world.slate_size, dim=1).indices.unique(dim=0)
    return slates


def _search(world: MDPWorld) -> Tensor:
    """The best slate that steepest ascent finds, swapping the one item that gains most. (K,)"""
    starts, visited = _starts(world), set[frozenset[int]]()
    order = _values(world, starts)[0].argsort(descending=True)
    ends = [_climb(world, start, visited) for start in starts[order[:_CLIMBS]]]
    peaks = torch.stack([end for end in ends if end is not None])
    return peaks[_values(world, peaks)[0].argmax()]


def _climb(world: MDPWorld, slate: Tensor, visited: set[frozenset[int]]) -> Tensor | None:
    """The end of the path from ``slate`` (K,), or None once it joins an earlier path."""
    value = _values(world, slate[None])[0][0]
    while (key := frozenset(slate.tolist())) not in visited:
        visited.add(key)
        neighbours = _swaps(slate, world.catalogue_size)
        values = _values(world, neighbours)[0] if len(neighbours) else value[None]
        if values.max() <= value * (1 + 1e-12):
            return slate
        slate, value = neighbours[values.argmax()], values.max()
    return None


def _swaps(slate: Tensor, items: int) -> Tensor:
    """Every slate that differs in one item. (K,) -> (K (n - K), K)"""
    size = len(slate)
    unshown = torch.arange(items)[~torch.isin(torch.arange(items), slate)]  # (n - K,)
    neighbours = slate.repeat(size, items - size, 1)  # (K, n - K, K)
    place = torch.arange(size)
    neighbours[place, :, place] = unshown
    return neighbours.flatten(0, 1)


def _by_reward(reward: Tensor, slate: Tensor) -> Tensor:
    return slate[reward[slate].argsort(descending=True, stable=True)]
