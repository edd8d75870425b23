import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from irecgan.experiments.bias.cell import work
from irecgan.experiments.bias.conclude import answer, conclude
from irecgan.experiments.bias.plot import figures
from irecgan.experiments.bias.results import bias_of, change, grouped, size_of_bias
from irecgan.experiments.bias.settings import ARMS, PRESETS, BiasCell, BiasSettings, WorldSettings, cells

TRAINING = {
    "units": 4,
    "embedding": 3,
    "layers": 1,
    "user_epochs": 2,
    "agent_epochs": 2,
    "agent_epochs_per_round": 1,
    "rounds": 2,
    "completions": 2,
}
SETTINGS = BiasSettings(
    seeds=2,
    worlds={
        "listed": WorldSettings(
            law="dirichlet:0.3",
            states=2,
            items=3,
            slate_size=1,
            clicks=2,
            sessions=60,
            logs=("soft",),
            training=TRAINING,
        ),
        "paper": WorldSettings(
            law="softmax", states=3, items=20, slate_size=5, clicks=10, sessions=60, logs=("mix",), training=TRAINING
        ),
    },
    measured_sessions=50,
    repeats=5,
)


pytestmark = pytest.mark.xdist_group("bias")  # whoever has the results has them for all tests


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[BiasCell, dict[str, Any]]]:
    return [(cell, work(SETTINGS, cell, tmp_path_factory.mktemp("cell"))) for cell in cells(SETTINGS)]


def test_results_can_be_kept_as_json(results: list[tuple[BiasCell, dict[str, Any]]]) -> None:
    for _, found in results:
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert [figures["round"] for figures in found["rounds"]] == [0, 1, 2]


def test_arms_of_one_seed_begin_alike_and_part_in_the_rounds(results: list[tuple[BiasCell, dict[str, Any]]]) -> None:
    for seed in range(2):
        rounds = [found["rounds"] for cell, found in results if (cell.scale, cell.seed) == ("listed", seed)]
        assert len(rounds) == len(ARMS)
        assert len({figures[0]["estimate/plain"] for figures in rounds}) == 1
        assert len({figures[-1]["estimate/plain"] for figures in rounds}) == len(ARMS)


def test_the_user_model_rests_in_pgu_alone(results: list[tuple[BiasCell, dict[str, Any]]]) -> None:
    for cell, found in results:
        losses = {figures["user/validation"] for figures in found["rounds"]}
        assert (len(losses) == 1) == (cell.arm == "pgu")
        assert ("estimate/learned" in found["kept"]) == (cell.arm == "irecgan")


def test_the_terms_of_a_listed_world_add_up(results: list[tuple[BiasCell, dict[str, Any]]]) -> None:
    for cell, found in results:
        if cell.scale == "listed":
            kept = found["kept"]
            terms = sum(value for name, value in kept.items() if name.startswith("terms/"))
            assert terms == pytest.approx(kept["estimate/prefix"], rel=1e-6)


def test_the_conclusion_counts_paired_differences(results: list[tuple[BiasCell, dict[str, Any]]]) -> None:
    conclusion = conclude(SETTINGS, results)
    numbers, text, html = conclusion.json, conclusion.text, conclusion.html
    json.dumps(numbers, allow_nan=False)
    group = grouped(results)[0]
    by_hand = []
    for seed in range(2):
        kept = group.results["irecgan", seed]["kept"]
        learned, plain = (bias_of(name, kept) for name in ("learned", "plain"))
        assert learned is not None
        assert plain is not None
        by_hand.append(abs(learned) - abs(plain))
    assert group.values("irecgan", change("learned", size_of_bias)) == pytest.approx(by_hand)
    assert numbers["groups"][0]["estimates"]["learned"]["size_change"]["mean"] == pytest.approx(sum(by_hand) / 2)
    assert group.title in text
    tests = {claim["claim"]: claim["tests"] for claim in numbers["claims"]}
    lowers = tests["The learned D as a weight lowers the bias of the value"]
    assert lowers[0]["mean"] == pytest.approx(-sum(by_hand) / 2)
    drawn = conclusion.figures
    assert drawn == figures(grouped(results))
    assert list(drawn) == ["estimates", "sources", "price"]
    for name, svg in drawn.items():
        assert ElementTree.fromstring(svg).tag.endswith("svg"), name
        assert svg in html  # equal results give equal figures


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_seeds_to_pair_and_keys_of_their_own(preset: str) -> None:
    settings = PRESETS[preset]
    assert settings.seeds >= 5
    keys = [cell.key for cell in cells(settings)]
    assert len(set(keys)) == len(keys)
    for world in settings.worlds.values():
        assert world.config.max_length == world.clicks


def test_a_cell_gives_the_same_figures_every_time(
    results: list[tuple[BiasCell, dict[str, Any]]], tmp_path: Path
) -> None:
    cell, found = results[0]
    assert work(SETTINGS, cell, tmp_path) == found


def test_trainings_that_stopped_early_leave_gaps(results: list[tuple[BiasCell, dict[str, Any]]]) -> None:
    short = [(c, {**found, "rounds": found["rounds"][:-1]} if c.seed == 0 else found) for c, found in results]
    for drawn in figures(grouped(short)).values():
        ElementTree.fromstring(drawn)


def test_one_seed_says_nothing_of_the_discriminator(results: list[tuple[BiasCell, dict[str, Any]]]) -> None:
    for group in grouped([(cell, found) for cell, found in results if cell.seed == 0]):
        assert all(said.startswith(("not decided", "not finite")) for said in answer(group)[1:])
