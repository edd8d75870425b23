from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tiny_worlds import best_listed_value, listed_values, slates_of, tiny_worlds, uniform, world_of

from irecgan.data.batch import NOTHING
from irecgan.errors import UserError
from irecgan.policies.interface import Policy
from irecgan.policies.logging import MaxPolicy, MixPolicy, NoMemory, RandomPolicy, SlateTablePolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.worlds.mdp import MDPWorld, draw_world, mix_band
from irecgan.worlds.oracle import (
    max_values,
    mix_values,
    optimal_value,
    policy_value,
    random_values,
    reference_values,
)


@settings(deadline=None, max_examples=60)
@given(tiny_worlds())
def test_the_optimum_is_the_best_of_all_stationary_policies(world: MDPWorld) -> None:
    solution = optimal_value(world)
    assert solution.values.tolist() == pytest.approx(best_listed_value(world).tolist(), rel=1e-10, abs=1e-12)
    assert solution.value == solution.values[world.start_state]
    assert policy_value(world, solution.slates).tolist() == pytest.approx(solution.values.tolist(), rel=1e-12)
    assert all(len(set(slate)) == world.slate_size for slate in solution.slates.tolist())


@settings(deadline=None)
@given(tiny_worlds())
def test_reference_policies_equal_their_lists(world: MDPWorld) -> None:
    ranking = world.ranking.tolist()
    k = world.slate_size
    low, high = mix_band(world.catalogue_size, k)
    best = {z: tuple(ranking[z][:k]) for z in range(world.state_count)}
    band = {z: [s for s in slates_of(world) if set(s) <= set(ranking[z][low:high])] for z in range(world.state_count)}
    listed = {
        "max": listed_values(world, lambda z: [(1.0, best[z])]),
        "random": listed_values(world, lambda _: uniform(slates_of(world))),
        "mix": listed_values(world, lambda z: [(0.5, best[z]), *((0.5 * p, slate) for p, slate in uniform(band[z]))]),
    }
    found = {"max": max_values(world), "random": random_values(world), "mix": mix_values(world)}
    for name, values in listed.items():
        assert found[name].tolist() == pytest.approx(values.tolist(), rel=1e-10, abs=1e-12), name
    start = reference_values(world)
    assert start["mix"] == pytest.approx(listed["mix"][world.start_state], rel=1e-10, abs=1e-12)
    assert max(start.values()) <= start["oracle"] * (1 + 1e-12)


@pytest.mark.parametrize("law", ["softmax", "dirichlet:0.02"])
@pytest.mark.parametrize("name", ["oracle", "max", "mix", "random"])
def test_simulated_means_agree_with_exact_values(law: str, name: str) -> None:
    world = draw_world(law, seed=5)
    policies: dict[str, Policy[Any]] = {
        "oracle": SlateTablePolicy(optimal_value(world).slates),
        "max": MaxPolicy(world),
        "mix": MixPolicy(world),
        "random": RandomPolicy(world.catalogue_size, world.slate_size),
    }
    generator = Streams(1).torch(law, name)
    total = rollout(policies[name], world, 20_000, max_length=1000, generator=generator).reward.sum(1).double()
    error = (total.std() / len(total) ** 0.5).item()
    assert total.mean().item() == pytest.approx(reference_values(world)[name], abs=4 * error)


@pytest.mark.parametrize("size", [1, 4, 7])
def test_in_a_flat_world_every_policy_is_worth_the_same(size: int) -> None:
    flat = world_of(np.full((3, 7), 0.75), draw_world("softmax", 3, 7, 1, seed=0).transition, size)
    assert list(reference_values(flat).values()) == pytest.approx([3.0] * 4, rel=1e-12)


def test_in_a_world_of_one_state_and_one_item_sessions_are_geometric() -> None:
    assert optimal_value(world_of([[0.5]], [[[1.0]]], 1)).value == pytest.approx(1.0)


def test_a_better_slate_can_be_one_of_fewer_good_items() -> None:
    # The second-best item dilutes the best one less the smaller its reward is: 0 is better than .5.
    world = world_of([[0.9, 0.5, 0.0]], np.ones((1, 3, 1)), 2)
    assert optimal_value(world).slates.tolist() == [[0, 2]]
    assert optimal_value(world).value == pytest.approx(9.0)


def test_a_slate_as_large_as_the_catalogue_leaves_no_choice() -> None:
    world = draw_world("softmax", states=4, items=6, slate_size=6, seed=0)
    assert list(reference_values(world).values()) == pytest.approx([max_values(world)[0].item()] * 4)


def test_a_world_without_rewards_is_worth_nothing() -> None:
    world = world_of(np.zeros((2, 3)), np.full((2, 3, 2), 0.5), 2)
    assert list(reference_values(world).values()) == [0, 0, 0, 0]


ENDLESS = {
    "all rewards are 1": world_of(np.ones((2, 3)), np.full((2, 3, 2), 0.5), 2),
    "one sure item and a harmless one": world_of([[1.0, 0.0, 0.5]], np.ones((1, 3, 1)), 2),
    "a trap that can be reached": world_of([[0.5, 0.5], [1, 1]], np.full((2, 2, 2), [0.0, 1.0]), 1),
}


@pytest.mark.parametrize("name", list(ENDLESS))
def test_sessions_that_never_end_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"sessions that never end from state . .*expected rewards below 1") as error:
        optimal_value(ENDLESS[name])
    assert "\n" not in str(error.value)


def test_a_policy_is_refused_only_if_its_own_sessions_never_end() -> None:
    world = ENDLESS["one sure item and a harmless one"]
    with pytest.raises(UserError, match="never end"):
        policy_value(world, torch.tensor([[0, 1]]))
    assert policy_value(world, torch.tensor([[1, 2]])).item() == pytest.approx(1.0)
    assert random_values(world).isfinite().all()


def test_sure_clicks_that_lead_to_a_risky_state_have_a_value() -> None:
    world = world_of([[1, 1], [0.5, 0.5]], [[[0, 1], [0, 1]], [[1, 0], [1, 0]]], 2)
    assert optimal_value(world).values.tolist() == pytest.approx([3.0, 2.0])


def test_sessions_hardly_ever_end_and_still_have_a_value() -> None:
    almost = 1 - 2.0**-30
    world = world_of(np.full((2, 3), almost), np.full((2, 3, 2), 0.5), 2)
    assert optimal_value(world).value == pytest.approx(2.0**30, rel=1e-6)


def test_the_simulator_ends_where_the_values_say_nothing_comes() -> None:
    world = world_of(np.zeros((1, 3)), np.ones((1, 3, 1)), 2)
    policy = RandomPolicy(3, 2)
    batch = rollout(policy, world, 100, max_length=10, generator=Streams(0).torch("x"))
    assert batch.steps.tolist() == [1] * 100
    assert (batch.position[:, 0] == NOTHING).all()
    assert policy.start(3) == NoMemory(3)
