from itertools import product

import pytest
from hypothesis import given, settings
from tiny_worlds import Slate, listed_values, slates_of, tiny_worlds, world_of

from irecgan.errors import UserError
from irecgan.policies.static import StaticPolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.worlds import static
from irecgan.worlds.mdp import MDPWorld, draw_world
from irecgan.worlds.oracle import optimal_value
from irecgan.worlds.static import best_static_slate


def listed_value(world: MDPWorld, first: Slate, later: Slate) -> float:
    """The first slate in the start state, then the later one in every state."""
    values = listed_values(world, lambda _: [(1.0, later)])
    reward, z = world.reward.numpy(), world.start_state
    total = sum(reward[z, j] for j in first)
    if total == 0:
        return 0.0
    clicks = ((j, reward[z, j] ** 2 / total) for j in first)
    return float(sum(p * (1 + world.transition.numpy()[z, j] @ values) for j, p in clicks))


@settings(deadline=None)
@given(tiny_worlds())
def test_it_is_the_best_of_all_pairs(world: MDPWorld) -> None:
    solution = best_static_slate(world)
    listed = max(listed_value(world, *pair) for pair in product(slates_of(world), repeat=2))
    assert solution.exhaustive
    assert solution.value == pytest.approx(listed, rel=1e-10, abs=1e-12)
    pair = tuple(solution.first.tolist()), tuple(solution.later.tolist())
    assert listed_value(world, *pair) == pytest.approx(solution.value, rel=1e-10, abs=1e-12)
    assert solution.value <= optimal_value(world).value * (1 + 1e-12) + 1e-15


@pytest.mark.parametrize("seed", range(4))
def test_the_search_finds_what_trying_all_finds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = draw_world("dirichlet:0.1", states=5, items=12, slate_size=4, seed=seed)
    best = best_static_slate(world)
    monkeypatch.setattr(static, "_EXHAUSTIVE", 0)
    searched = best_static_slate(world)
    assert best.exhaustive
    assert not searched.exhaustive
    assert searched.value == pytest.approx(best.value, rel=1e-12)


def test_the_search_ends_when_the_slate_is_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "_EXHAUSTIVE", 0)
    world = draw_world("softmax", states=3, items=4, slate_size=4, seed=0)
    assert best_static_slate(world).value == pytest.approx(optimal_value(world).value)


def test_simulated_means_agree() -> None:
    world = draw_world("dirichlet:0.02", seed=1)
    solution = best_static_slate(world)
    policy = StaticPolicy(solution.first, later=solution.later)
    batch = rollout(policy, world, 20_000, max_length=1000, generator=Streams(1).torch("static"))
    total = batch.reward.sum(1).double()
    assert total.mean().item() == pytest.approx(solution.value, abs=4 * (total.std() / len(total) ** 0.5).item())


def test_sessions_that_never_end_are_refused() -> None:
    with pytest.raises(UserError, match="never end"):
        best_static_slate(world_of([[1.0, 1.0]], [[[1.0], [1.0]]], 1))


def test_slates_of_nearly_all_items_are_tried_without_listing_their_orders() -> None:
    solution = best_static_slate(draw_world("softmax", states=3, items=12, slate_size=10, seed=0))
    assert solution.exhaustive
    assert len(set(solution.later.tolist())) == 10
