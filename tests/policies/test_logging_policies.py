import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irecgan.policies.logging import LoggingPolicy, MaxPolicy, MixPolicy, NoMemory, RandomPolicy
from irecgan.seeding import Streams
from irecgan.worlds.interface import Scene
from irecgan.worlds.mdp import MDPWorld, draw_world


def policies(world: MDPWorld) -> dict[str, LoggingPolicy]:
    return {
        "random": RandomPolicy(world.catalogue_size, world.slate_size),
        "max": MaxPolicy(world),
        "mix": MixPolicy(world),
    }


@pytest.mark.parametrize("name", ["random", "max", "mix"])
@given(sizes=st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
@settings(deadline=None, max_examples=30)
def test_slates_are_full_and_without_repeats(name: str, sizes: tuple[int, int]) -> None:
    items, size = sizes
    world = draw_world("softmax", states=3, items=items, slate_size=size, seed=0)
    policy = policies(world)[name]
    hidden = torch.tensor([0, 1, 2, 1])
    slate = policy.propose(policy.start(4), Scene(hidden), Streams(0).torch("slates"))
    assert slate.shape == (4, size)
    assert ((slate >= 0) & (slate < items)).all()
    assert all(len(set(row)) == size for row in slate.tolist())


@pytest.mark.parametrize("name", ["random", "max", "mix"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_inclusion_is_the_share_of_slates_with_the_item(name: str, size: int) -> None:
    world = draw_world("softmax", states=2, items=10, slate_size=size, seed=1)
    policy, count = policies(world)[name], 40_000
    chance = policy.inclusion(world)
    assert chance.sum(1).tolist() == pytest.approx([size, size])
    for state in range(2):
        slate = policy.propose(policy.start(count), Scene(torch.full((count,), state)), Streams(2).torch(name, state))
        share = torch.bincount(slate.flatten(), minlength=10) / count
        assert share.tolist() == pytest.approx(chance[state].tolist(), abs=4 * 0.5 / count**0.5)


def test_max_shows_the_best_items_first() -> None:
    world = draw_world("softmax", seed=0)
    slate = MaxPolicy(world).propose(NoMemory(1), Scene(torch.tensor([4])), torch.Generator())[0]
    rewards = world.reward[4]
    assert rewards[slate].tolist() == sorted(rewards.tolist(), reverse=True)[:10]


def test_mix_shows_the_max_slate_or_the_ranks_from_10_to_24() -> None:
    world = draw_world("softmax", seed=0)
    rank = world.ranking.argsort(1)
    hidden = torch.arange(10).repeat(100)
    slate = MixPolicy(world).propose(NoMemory(1000), Scene(hidden), Streams(0).torch("mix"))
    ranks = rank[hidden[:, None], slate]
    best = (ranks < 10).all(1)
    assert torch.equal(ranks[best], torch.arange(10).expand(int(best.sum()), -1))
    assert ((ranks[~best] >= 10) & (ranks[~best] < 25)).all()
    assert 430 < best.sum() < 570


def test_policies_that_observe_the_state_refuse_a_world_that_hides_it() -> None:
    world = draw_world("softmax", seed=0)
    for policy in (MaxPolicy(world), MixPolicy(world)):
        with pytest.raises(ValueError, match="observes the true state"):
            policy.propose(policy.start(1), Scene(), torch.Generator())


def test_a_slate_larger_than_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="slate_size: found 6, expected 1 to 5"):
        RandomPolicy(5, 6)


def test_nothing_is_remembered() -> None:
    state = NoMemory(3)
    assert state.take(torch.tensor([0, 0, 2, 1])).join([NoMemory(2)]) == NoMemory(6)
