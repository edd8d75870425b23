import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING
from irecgan.errors import UserError
from irecgan.seeding import Streams
from irecgan.worlds.loading import load_world
from irecgan.worlds.mdp import MDPWorld, draw_world
from irecgan.worlds.shop import LONGEST, SHORTEST, ShopState, ShopWorld
from small_shops import small_shop

SHOP = small_shop()
N = SHOP.catalogue_size


def test_a_saved_shop_is_read_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "WORLD.json"
    world = small_shop(items=450, seed=7, click_bias=-1.2345678901234567, drift=0.3)
    world.save(path)
    loaded = load_world(path)
    assert isinstance(loaded, ShopWorld)
    assert loaded.spec == world.spec
    for name, table in vars(world.items).items():
        assert torch.equal(getattr(loaded.items, name), table), name
    assert path.stat().st_size < 1000


def test_the_kind_of_a_file_decides(tmp_path: Path) -> None:
    draw_world("softmax", 2, 3, 2, seed=0).save(tmp_path / "mdp.json")
    assert isinstance(load_world(tmp_path / "mdp.json"), MDPWorld)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": 199}, "items: found 199, expected greater than or equal to 200"),
        ({"items": 400.5}, "items: found 400.5, expected a valid integer"),
        ({"drift": 1.5}, "drift: found 1.5, expected less than or equal to 1"),
        ({"examination": -1}, "examination: found -1, expected greater than or equal to 0"),
        ({"click_bias": None}, "click_bias: found None, expected a valid number"),
        ({"click_bias": float("inf")}, "click_bias: found inf, expected less than or equal to 100"),
        ({"click_bias": float("nan")}, "click_bias: found nan, expected less than or equal to 100"),
        ({"zipf": 5}, "zipf: found 5, expected less than or equal to 4"),
        ({"drfit": 0.1}, "drfit: no such field"),
        ({"seed": ...}, "seed: found nothing, expected this field"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    fields = SHOP.spec.model_dump() | change
    path = tmp_path / "WORLD.json"
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not ...}))
    with pytest.raises(UserError) as caught:
        load_world(path)
    assert str(caught.value) == f"{path}: {message}"


def test_every_item_is_in_one_category_and_popularity_follows_zipf() -> None:
    items = small_shop(items=250).items
    assert sorted(items.members[items.members < 250].tolist()) == list(range(250))
    rates = items.rate.flatten().sort(descending=True).values
    torch.testing.assert_close(rates[:250], 1 / torch.arange(1.0, 251))
    assert (items.rate == 0).sum() == (items.members == 250).sum()
    assert float(items.popularity[:-1].mean()) == pytest.approx(0, abs=1e-5)


def test_lists_hold_10_to_100_items_of_one_category_by_popularity() -> None:
    candidates = SHOP.start(2000, Streams(0).torch("x")).candidates
    shown = candidates < N
    sizes = shown.sum(1)
    assert torch.equal(shown, torch.arange(LONGEST) < sizes[:, None])
    assert (int(sizes.min()), int(sizes.max())) == (SHORTEST, LONGEST)
    assert float(sizes.float().mean()) > float(sizes.float().median()) + 2  # a tail of long lists
    assert all(len(set(row[:size])) == size for row, size in zip(candidates.tolist(), sizes.tolist(), strict=True))
    category = torch.full((N + 1,), -1)
    for c, members in enumerate(SHOP.items.members):
        category[members] = c
    assert (category[candidates] == category[candidates[:, :1]])[shown].all()
    offers = torch.bincount(candidates[shown], minlength=N).float()
    assert float(torch.corrcoef(torch.stack([offers, SHOP.items.popularity[:N]]))[0, 1]) > 0.5


def test_the_ranker_of_the_shop_is_better_than_chance_and_far_from_perfect() -> None:
    state = SHOP.start(2000, Streams(0).torch("x"))
    appeal = SHOP.appeal(state.taste, state.candidates)[:, :SHORTEST]
    rank = torch.arange(SHORTEST).float().expand_as(appeal)
    correlation = torch.corrcoef(torch.stack([appeal.flatten(), rank.flatten()]))[0, 1]
    assert -0.6 < float(correlation) < -0.1


def fixed_step(world: ShopWorld, slate: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Exact chances of clicks and of clicks with a purchase on the places of ``slate`` (K,), and frequencies."""
    taste = torch.linspace(-1.5, 1.5, world.spec.factors)[None]
    exact = world.chances(taste, slate[None])
    state = ShopState(taste.expand(count, -1), torch.empty(count, 0))
    answer = world.respond(state, slate.expand(count, -1), Streams(seed).torch("respond"))
    clicks = torch.bincount(answer.position + 1, minlength=len(slate) + 1)[1:] / count
    bought = torch.bincount(answer.position + 1, answer.reward, minlength=len(slate) + 1)[1:] / count
    return exact.click[0], (exact.click * exact.purchase)[0], clicks.double(), bought.double()


def test_clicks_and_purchases_have_the_chances_of_the_law_in_every_order() -> None:
    slate, count = torch.tensor([3, 141, 59, 26, 5]), 60_000
    totals = []
    for order in (slate, slate.flip(0), slate[torch.tensor([1, 3, 0, 4, 2])]):
        click, purchase, clicks, bought = fixed_step(SHOP, order, count)
        error = (click * (1 - click) / count).sqrt()
        assert ((clicks - click).abs() < 4 * error).all()
        assert ((bought - purchase).abs() < 4 * error).all()
        totals.append(float(click.sum()))
    assert max(totals) - min(totals) > 0.05  # the same items in another order: other clicks


def test_the_law_by_hand() -> None:
    world = small_shop(examination=1.0)
    taste, slate = torch.zeros(1, 8), torch.tensor([[10, 20, N]])
    quality = 0.5 * world.items.quality[slate[0, :2]]
    look = torch.tensor([2 / 3, 1 / 3])  # 1 and 1/2, over 3/2
    chances = world.chances(taste, slate)
    torch.testing.assert_close(chances.click[0, :2].float(), look * torch.sigmoid(-1 + quality))
    torch.testing.assert_close(chances.purchase[0, :2].float(), torch.sigmoid(-3 + quality))
    assert chances.click[0, 2] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"purchase_slope": 0},
        {"match_weight": 100, "quality_weight": 100, "ranker_noise": 0, "focus": 100, "drift": 1},
        {"examination": 100, "zipf": 4, "list_length": 100},
        {"match_weight": 0, "quality_weight": 0, "zipf": 0, "list_length": 0, "category_share": 1},
    ],
)
def test_extreme_parameters_keep_chances_and_lists_whole(changes: dict[str, float]) -> None:
    world = small_shop(**changes)
    state = world.start(200, Streams(0).torch("x"))
    for _ in range(3):
        chances = world.chances(state.taste, state.candidates)
        for chance in (chances.click, chances.purchase):
            assert ((chance >= 0) & (chance <= 1)).all()
        assert (chances.click.sum(1) <= 1 + 1e-9).all()
        assert (state.candidates[:, :SHORTEST] < N).all()
        state = world.advance(state, state.candidates, state.candidates[:, 0], Streams(1).torch("y"))


def test_without_a_position_effect_every_order_is_worth_the_same() -> None:
    world = small_shop(examination=0)
    taste, slate = torch.ones(1, 8), torch.tensor([[3, 141, 59, 26, 5]])
    totals = [world.chances(taste, order).click.sum() for order in (slate, slate.flip(1))]
    torch.testing.assert_close(*totals)


def test_no_order_has_more_clicks_or_purchases_than_that_of_falling_appeal() -> None:
    generator = Streams(0).torch("lists")
    for _ in range(5):
        taste, slate = torch.randn(1, 8, generator=generator), torch.randperm(N, generator=generator)[:5]
        best = slate[SHOP.appeal(taste, slate[None])[0].argsort(descending=True)]
        every = torch.tensor(list(permutations(best.tolist())))  # the first is the best
        chances = SHOP.chances(taste.expand(len(every), -1), every)
        for value in (chances.click.sum(1), (chances.click * chances.purchase).sum(1)):
            assert value[0] >= value.max() - 1e-12


def test_padding_changes_nothing() -> None:
    state = SHOP.start(300, Streams(1).torch("x"))
    wide = torch.nn.functional.pad(state.candidates, (0, 40), value=N)
    narrow, padded = SHOP.chances(state.taste, state.candidates), SHOP.chances(state.taste, wide)
    assert torch.equal(padded.click[:, :LONGEST], narrow.click)
    assert padded.click[:, LONGEST:].sum() == 0
    one, two = (SHOP.respond(state, slate, Streams(2).torch("x")) for slate in (state.candidates, wide))
    assert torch.equal(one.position, two.position)
    assert torch.equal(one.reward, two.reward)


def test_nothing_shown_is_not_clicked() -> None:
    answer = SHOP.respond(SHOP.start(50, Streams(0).torch("x")), torch.full((50, 3), N), Streams(0).torch("y"))
    assert (answer.position == NOTHING).all()
    assert (answer.reward == 0).all()


def test_company_changes_neither_chances_nor_queries() -> None:
    state = SHOP.start(40, Streams(3).torch("x"))
    together = SHOP.chances(state.taste, state.candidates)
    for row in range(40):
        alone = state.take(torch.tensor([row]))
        torch.testing.assert_close(SHOP.chances(alone.taste, alone.candidates).click[0], together.click[row])

    def first_items(taste: Tensor, seed: int) -> Tensor:
        """How often each item leads the next list."""
        world, count = small_shop(drift=0), len(taste)
        state = ShopState(taste, torch.empty(count, 0))
        moved = world.advance(state, torch.empty(count, 0), torch.zeros(count).long(), Streams(seed).torch("x"))
        return moved.candidates[:, 0]

    one, other = torch.ones(1, 8), -2 * torch.ones(1, 8)
    mixed = first_items(torch.stack([one, other], dim=1).expand(6000, -1, -1).reshape(-1, 8), 0)[::2]
    pure = first_items(one.expand(6000, -1), 1)
    shares = [torch.bincount(first, minlength=N) / 6000 for first in (mixed, pure)]
    assert float((shares[0] - shares[1]).abs().max()) < 4 * (0.25 * 2 / 6000) ** 0.5


def test_taste_moves_towards_the_click_and_queries_follow_it() -> None:
    world = small_shop(drift=0.5, focus=5)
    state = world.start(3000, Streams(0).torch("x"))
    click = state.candidates[:, 0]
    moved = world.advance(state, state.candidates, click, Streams(0).torch("y"))
    torch.testing.assert_close(moved.taste, 0.5 * (state.taste + world.items.place[click]))
    category = torch.empty(N, dtype=torch.int64)
    for c, members in enumerate(world.items.members):
        category[members] = c
    before, after = category[click], category[moved.candidates[:, 0]]
    stays = float((before == after).float().mean())
    by_chance = float((before == after[torch.randperm(3000, generator=Streams(0).torch("z"))]).float().mean())
    assert stays > by_chance + 0.2


def test_states_are_taken_and_joined_row_by_row() -> None:
    state = SHOP.start(5, Streams(0).torch("x"))
    rows = torch.tensor([4, 0, 0])
    joined = state.take(rows).join([state.take(torch.tensor([2]))])
    expected = torch.tensor([4, 0, 0, 2])
    assert torch.equal(joined.taste, state.taste[expected])
    assert torch.equal(joined.candidates, state.candidates[expected])
    assert torch.equal(SHOP.hidden(joined), joined.taste)
    assert torch.equal(SHOP.candidates(joined), joined.candidates)
