import pytest
import torch

from irecgan.policies.logging import NoMemory
from irecgan.policies.presented import AppealOrder, PresentedOrder, RandomOrder
from irecgan.seeding import Streams
from irecgan.worlds.interface import Scene
from small_shops import small_shop

CANDIDATES = torch.tensor([[4, 7, 2, 9, 9], [1, 0, 3, 8, 5]])  # n = 9


def test_the_presented_order_is_that_of_the_world() -> None:
    assert torch.equal(
        PresentedOrder().propose(NoMemory(2), Scene(candidates=CANDIDATES), torch.Generator()), CANDIDATES
    )


def test_random_orders_are_uniform_and_keep_padding_last() -> None:
    many = CANDIDATES[:1].expand(6000, -1)
    slate = RandomOrder(9).propose(NoMemory(6000), Scene(candidates=many), Streams(0).torch("x"))
    assert (slate[:, 3:] == 9).all()
    orders, counts = slate[:, :3].unique(dim=0, return_counts=True)
    assert len(orders) == 6
    assert (counts / 6000 - 1 / 6).abs().max() < 4 * (5 / 36 / 6000) ** 0.5


def test_the_appeal_order_reads_the_taste() -> None:
    world = small_shop()
    state = world.start(30, Streams(0).torch("x"))
    slate = AppealOrder(world).propose(NoMemory(30), Scene(state.taste, state.candidates), torch.Generator())
    assert torch.equal(slate.sort(1).values, state.candidates.sort(1).values)
    appeal = world.appeal(state.taste, slate)
    assert (appeal[:, 1:] <= appeal[:, :-1]).all()
    with pytest.raises(ValueError, match="observes the true state"):
        AppealOrder(world).propose(NoMemory(30), Scene(candidates=state.candidates), torch.Generator())


def test_a_world_without_candidates_is_refused() -> None:
    for policy in (PresentedOrder(), RandomOrder(9)):
        with pytest.raises(ValueError, match="the world offers none"):
            policy.propose(NoMemory(2), Scene(), torch.Generator())
