"""Worlds small enough to list everything, and values by listing everything."""

from collections.abc import Callable, Sequence
from itertools import combinations, product

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from irecgan.worlds.mdp import MDPSpec, MDPWorld

Floats = NDArray[np.float64]
Slate = tuple[int, ...]
SlateLaw = Callable[[int], Sequence[tuple[float, Slate]]]


def world_of(reward: object, transition: object, slate_size: int, start_state: int = 0) -> MDPWorld:
    return MDPWorld(
        MDPSpec(
            reward=np.asarray(reward, dtype=float).tolist(),
            transition=np.asarray(transition, dtype=float).tolist(),
            slate_size=slate_size,
            start_state=start_state,
        )
    )


@st.composite
def tiny_worlds(draw: st.DrawFn, states: int = 3, items: int = 4) -> MDPWorld:
    m, n = draw(st.integers(1, states)), draw(st.integers(1, items))
    rewards = st.one_of(st.just(0.0), st.floats(0.0009765625, 0.95))
    reward = [[draw(rewards) for _ in range(n)] for _ in range(m)]
    weights = st.lists(st.integers(0, 3), min_size=m, max_size=m).filter(any)
    rows = np.array([[draw(weights) for _ in range(n)] for _ in range(m)], dtype=np.float64)
    return world_of(reward, rows / rows.sum(2, keepdims=True), draw(st.integers(1, n)), draw(st.integers(0, m - 1)))


def slates_of(world: MDPWorld) -> list[Slate]:
    return list(combinations(range(world.catalogue_size), world.slate_size))


def listed_values(world: MDPWorld, law: SlateLaw) -> Floats:
    """Values of the stationary policy that shows slate a in state z with the chance that ``law(z)`` lists."""
    reward, transition = world.reward.numpy(), world.transition.numpy()
    m = world.state_count
    onward, now = np.zeros((m, m)), np.zeros(m)
    for z in range(m):
        for chance, slate in law(z):
            total = sum(reward[z, j] for j in slate)
            for j in slate if total > 0 else ():
                click = chance * reward[z, j] / total * reward[z, j]
                now[z] += click
                onward[z] += click * transition[z, j]
    values = np.linalg.solve(np.eye(m) - onward, now)
    return values.astype(np.float64)


def uniform(slates: Sequence[Slate]) -> list[tuple[float, Slate]]:
    return [(1 / len(slates), slate) for slate in slates]


def best_listed_value(world: MDPWorld) -> Floats:
    """The largest value of any stationary policy, state by state."""
    policies = product(slates_of(world), repeat=world.state_count)
    values: Floats = np.max([listed_values(world, _always(slates)) for slates in policies], axis=0)
    return values


def _always(slates: Sequence[Slate]) -> SlateLaw:
    return lambda z: [(1.0, slates[z])]
