import pytest
import torch

from irecgan.errors import UserError
from irecgan.policies.presented import PresentedOrder
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.worlds.shop import ShopWorld
from irecgan.worlds.shop_calibration import CLICKS, PURCHASES, draw_shop


def test_the_logged_order_has_the_marginals_of_the_paper() -> None:
    world = draw_shop(1500, seed=4)
    batches = [
        rollout(PresentedOrder(), world, 5000, max_length=1000, generator=Streams(0).torch("x", i)) for i in range(4)
    ]
    clicks = torch.cat([batch.clicked.sum(1) for batch in batches]).double()
    reward = torch.cat([batch.reward.sum(1) for batch in batches]).double()
    kept = (clicks >= 2) & (clicks <= 40)
    assert float(clicks[kept].mean()) == pytest.approx(CLICKS, abs=0.08)
    assert float(reward.sum() / clicks.sum()) == pytest.approx(PURCHASES, rel=0.2)
    assert float(reward[kept].sum() / clicks[kept].sum()) == pytest.approx(PURCHASES, rel=0.25)
    assert float(kept.double().mean()) > 0.1  # the logs are not made of a few long sessions


def test_a_seed_has_one_shop() -> None:
    world, again = (draw_shop(200, seed=3) for _ in range(2))
    assert world.spec == again.spec
    other = ShopWorld(world.spec.model_copy(update={"seed": 5}))
    assert not torch.equal(world.items.traits, other.items.traits)


def test_too_few_items_are_refused() -> None:
    with pytest.raises(UserError, match="items: found 199, expected at least 200"):
        draw_shop(199, seed=0)
