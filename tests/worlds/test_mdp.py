import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_worlds import tiny_worlds, world_of

from irecgan.data.batch import NOTHING
from irecgan.errors import UserError
from irecgan.seeding import Streams
from irecgan.worlds.mdp import MDPState, MDPWorld, draw_world, mix_band


@given(world=tiny_worlds())
def test_a_saved_world_is_read_back_exactly(world: MDPWorld, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("world") / "WORLD.json"
    world.save(path)
    loaded = MDPWorld.load(path)
    assert loaded.spec == world.spec
    assert torch.equal(loaded.transition, world.transition)
    assert torch.equal(loaded.reward, world.reward)


def test_the_file_holds_what_the_contract_names_and_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "WORLD.json"
    draw_world("dirichlet:0.5", states=2, items=3, slate_size=2, seed=4).save(path)
    fields = json.loads(path.read_text())
    assert set(fields) == {"reward", "transition", "slate_size", "start_state", "law", "seed"}
    assert (fields["law"], fields["seed"]) == ("dirichlet:0.5", 4)
    path.write_text(json.dumps(fields | {"note": "mine"}))
    MDPWorld.load(path).save(path)
    assert json.loads(path.read_text())["note"] == "mine"


def good() -> dict[str, Any]:
    return {
        "reward": [[0.5, 0.25], [1, 0]],
        "transition": [[[1, 0], [0.5, 0.5]], [[0, 1], [0, 1]]],
        "slate_size": 1,
        "start_state": 1,
    }


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"reward": [[0.5, 1.5], [1, 0]]}, r"reward\[0\]\[1\]: found 1.5, expected less than or equal to 1"),
    ({"reward": [[0.5, -0.1], [1, 0]]}, r"reward\[0\]\[1\]: found -0.1, expected greater than or equal to 0"),
    ({"reward": [[0.5, "1"], [1, 0]]}, r"reward\[0\]\[1\]: found '1', expected a valid number"),
    ({"reward": [[0.5, None], [1, 0]]}, r"reward\[0\]\[1\]: found None, expected a valid number"),
    ({"reward": [[0.5, float("nan")], [1, 0]]}, r"reward\[0\]\[1\]: found nan, expected a finite number"),
    ({"reward": [[0.5, 0.5], [1]]}, r"reward\[1\]: found 1 entries, expected 2 items"),
    ({"reward": []}, "reward: found no entries, expected states x items"),
    ({"reward": [[], []]}, "reward: found no entries, expected states x items"),
    ({"reward": 3}, "reward: found 3, expected a valid tuple"),
    ({"transition": [[[1, 0], [0, 1]]]}, "transition: found 1 entries, expected 2 states"),
    ({"transition": [[[1, 0]], [[1, 0], [0, 1]]]}, r"transition\[0\]: found 1 entries, expected 2 items"),
    (
        {"transition": [[[1, 0], [1]], [[0, 1], [0, 1]]]},
        r"transition\[0\]\[1\]: found 1 entries, expected 2 states",
    ),
    (
        {"transition": [[[1, 0], [0.5, 0.6]], [[0, 1], [0, 1]]]},
        r"transition\[0\]\[1\]: found a row that sums to 1.1, expected 1",
    ),
    ({"slate_size": 3}, "slate_size: found 3, expected at most the 2 items"),
    ({"slate_size": 0}, "slate_size: found 0, expected greater than or equal to 1"),
    ({"slate_size": 1.5}, "slate_size: found 1.5, expected a valid integer"),
    ({"slate_size": True}, "slate_size: found True, expected a valid integer"),
    ({"start_state": 2}, "start_state: found 2, expected below the 2 states"),
    ({"start_state": -1}, "start_state: found -1, expected greater than or equal to 0"),
    ({"law": 3}, "law: found 3, expected a valid string"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_a_wrong_field_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "WORLD.json"
    path.write_text(json.dumps(good() | change))
    with pytest.raises(UserError, match=message) as caught:
        MDPWorld.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["reward", "transition", "slate_size", "start_state"])
def test_a_missing_field_is_named(field: str, tmp_path: Path) -> None:
    path = tmp_path / "WORLD.json"
    fields = good()
    del fields[field]
    path.write_text(json.dumps(fields))
    with pytest.raises(UserError, match=f"{field}: found nothing, expected this field"):
        MDPWorld.load(path)


@pytest.mark.parametrize(
    ("text", "message"), [("[1, 2]", "expected an object with reward"), ("{", "line 1: not valid JSON")]
)
def test_another_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "WORLD.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        MDPWorld.load(path)
    with pytest.raises(UserError, match="no such file"):
        MDPWorld.load(tmp_path / "none.json")


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "WORLD.json"
    path.write_text(json.dumps(good()))
    world = MDPWorld.load(path)
    assert (world.state_count, world.catalogue_size, world.slate_size) == (2, 2, 1)
    assert world.start(3).state.tolist() == [1, 1, 1]


def test_worlds_of_one_seed_are_the_same_and_share_rewards_across_laws() -> None:
    world, again, other = (draw_world(law, seed=3) for law in ("softmax", "softmax", "dirichlet:0.02"))
    assert world.spec == again.spec
    assert torch.equal(world.reward, other.reward)
    assert not torch.equal(world.transition, other.transition)
    assert not torch.equal(world.reward, draw_world("softmax", seed=4).reward)


def test_the_laws_draw_what_they_say() -> None:
    softmax = draw_world("softmax", seed=0).transition
    assert 0.03 < softmax.min() < softmax.max() < 0.25  # 1 / (1 + 9 e) .. e / (e + 9)
    steep = draw_world("dirichlet:0.02", seed=0).transition
    assert steep.max(2).values.mean() > 0.85
    # The mean square of a Dirichlet(a) entry of m is (a + 1) / (m (m a + 1)).
    square = draw_world("dirichlet:0.5", items=2000, seed=0).transition.square().mean()
    assert square == pytest.approx(1.5 / (10 * 6), rel=0.02)


@given(
    st.sampled_from(["dirichlet:0.0001", "dirichlet:0.02", "dirichlet:1000000", "softmax"]),
    st.integers(0, 99),
)
def test_every_law_gives_probabilities(law: str, seed: int) -> None:
    rows = draw_world(law, states=3, items=4, slate_size=2, seed=seed).transition.sum(2)
    assert torch.allclose(rows, torch.ones_like(rows), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "law",
    ["uniform", "dirichlet", "dirichlet:", "dirichlet:x", "dirichlet:0", "dirichlet:-1", "dirichlet:nan", ""],
)
def test_an_unknown_law_is_refused(law: str) -> None:
    with pytest.raises(UserError, match=r"law: found .*, expected 'softmax' or 'dirichlet:ALPHA'"):
        draw_world(law, seed=0)


def test_impossible_sizes_are_refused() -> None:
    for sizes in ({"states": 0}, {"items": 0}, {"slate_size": 0}, {"items": 5, "slate_size": 6}):
        with pytest.raises(UserError, match=r": found [0-9]+, expected at "):
            draw_world("softmax", seed=0, **sizes)


def test_candidates_are_drawn_by_reward_and_clicked_with_it() -> None:
    world = world_of([[0.2, 0.0, 0.8, 0.5]], np.ones((1, 4, 1)), slate_size=3)
    count = 200_000
    slate = torch.tensor([2, 1, 0]).expand(count, -1)
    response = world.respond(world.start(count), slate, Streams(0).torch("test"))
    expected = {0: 0.8 * 0.8, 1: 0.0, 2: 0.2 * 0.2}
    for position, chance in expected.items():
        share = (response.position == position).double().mean().item()
        assert share == pytest.approx(chance, abs=4 * (chance * (1 - chance) / count) ** 0.5)
    clicked = response.position != NOTHING
    assert torch.equal(response.reward, clicked.float())


def test_slates_without_reward_end_the_session_and_sure_ones_never_do() -> None:
    world = world_of([[0.0, 0.0, 1.0]], np.ones((1, 3, 1)), slate_size=2)
    generator = Streams(0).torch("test")
    nothing = world.respond(world.start(1000), torch.tensor([[0, 1]]).expand(1000, -1), generator)
    assert (nothing.position == NOTHING).all()
    assert (nothing.reward == 0).all()
    sure = world.respond(world.start(1000), torch.tensor([[0, 2]]).expand(1000, -1), generator)
    assert (sure.position == 1).all()


def test_ignored_entries_are_not_shown() -> None:
    world = world_of([[0.5, 1.0]], np.ones((1, 2, 1)), slate_size=2)
    slate = torch.tensor([[1, 0]]).expand(1000, -1)
    ignored = torch.tensor([[True, False]]).expand(1000, -1)
    response = world.respond(world.start(1000), slate, Streams(0).torch("test"), ignored=ignored)
    assert set(response.position.tolist()) == {NOTHING, 1}


def test_the_state_moves_by_state_and_click() -> None:
    rows = np.array([[[0.0, 0.3, 0.7], [1, 0, 0]], [[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]]])
    world = world_of(np.full((3, 2), 0.5), rows, slate_size=2)
    count = 100_000
    slate = torch.tensor([[0, 1]])
    generator = Streams(0).torch("test")
    moved = world.advance(world.start(count), slate.expand(count, -1), torch.zeros(count).long(), generator)
    counts = torch.bincount(moved.state, minlength=3) / count
    assert counts[0] == 0
    assert counts[1].item() == pytest.approx(0.3, abs=4 * (0.21 / count) ** 0.5)
    sure = world.advance(MDPState(torch.tensor([0, 1, 1, 2])), slate, torch.tensor([1, 0, 1, 1]), generator)
    assert world.hidden(sure).tolist() == [0, 1, 2, 0]


def test_same_generator_same_answers() -> None:
    world = draw_world("softmax", seed=0)
    slate = torch.arange(10).expand(50, -1)
    one, two = (world.respond(world.start(50), slate, Streams(1).torch("x")) for _ in range(2))
    assert torch.equal(one.position, two.position)


def test_states_are_copied_and_joined_row_by_row() -> None:
    state = MDPState(torch.tensor([3, 1, 2]))
    assert state.take(torch.tensor([2, 2, 0])).state.tolist() == [2, 2, 3]
    assert state.join([state.take(torch.tensor([1])), state]).state.tolist() == [3, 1, 2, 1, 3, 1, 2]


@given(st.integers(1, 100).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_the_band_of_the_mix_policy_always_fills_a_slate(sizes: tuple[int, int]) -> None:
    items, slate_size = sizes
    low, high = mix_band(items, slate_size)
    assert 0 <= low <= items // 5
    assert high <= items
    assert high - low >= slate_size
