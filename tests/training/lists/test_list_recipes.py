"""Runs of the recipes linear and boosting."""

import sys
from pathlib import Path

import pytest
import torch

import irecgan
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.models.lists import ListUserModel
from irecgan.runs.inspection import inspect_run
from irecgan.runs.store import load_run
from small_logs import small_log

pytestmark = pytest.mark.xdist_group("list recipes")  # whoever has the runs has them for all tests

RECIPES = ("linear", "boosting")


@pytest.fixture(scope="module")
def log() -> SessionLog:
    return small_log(150)


@pytest.fixture(scope="module")
def runs(log: SessionLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for recipe in RECIPES:
        irecgan.train(log, recipe=recipe, out=folder / recipe, validation=small_log(40, seed=1))
    return folder


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_is_loaded_and_served_without_what_learned_it(
    recipe: str, runs: Path, log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    policy = irecgan.load_policy(runs / recipe)
    batch = encode(log, policy.catalogue).batch(torch.arange(20))
    shown = batch.shown[batch.real]
    with_order, without = policy.score_slates(batch)[shown], policy.score_slates(batch, ranked=False)[shown]
    assert with_order.isfinite().all()
    assert with_order.std() > 0
    assert policy.reads_order
    assert not torch.equal(with_order, without)
    assert len(policy.recommend([1], k=3).items) == 3
    answer = policy.rerank([1], ["new", 2, 3])
    assert min(answer.probabilities) > 0  # an item never shown is scored by what is seen of the list


@pytest.mark.parametrize("recipe", RECIPES)
def test_who_makes_the_order_has_one_whatever_the_order_given(recipe: str, runs: Path) -> None:
    policy = irecgan.load_policy(runs / recipe)
    one, other = (policy.rerank([1], order, ranked=False) for order in ([0, 1, 2, 3], [3, 1, 0, 2]))
    pairs = [dict(zip(answer.items, answer.probabilities, strict=True)) for answer in (one, other)]
    assert pairs[0] == pytest.approx(pairs[1])


def test_the_averages_are_those_of_the_log(runs: Path, log: SessionLog) -> None:
    user = load_run(runs / "linear").networks["linear"]
    assert isinstance(user, ListUserModel)
    assert float(user.stop) == pytest.approx(log.ends.unclicked / (log.ends.unclicked + log.clicks))
    rewards = log.frame.filter(log.frame["click"].is_not_null())["reward"]
    assert float(user.reward) == pytest.approx(rewards.mean())


def test_nothing_in_a_conditional_logit_is_by_chance(runs: Path, log: SessionLog, tmp_path: Path) -> None:
    """It has one optimum: another seed, and the same log, give the same weights."""
    irecgan.train(log, recipe="linear", out=tmp_path / "run", validation=small_log(40, seed=1), seed=7)
    one, other = (load_run(path).networks["linear"].state_dict() for path in (runs / "linear", tmp_path / "run"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_its_weights_are_told_in_words(runs: Path) -> None:
    found = inspect_run(runs / "linear")
    assert {weight.term for weight in found.weights} >= {"rank", "repeat", "popularity"}
    assert any("times as likely" in str(contrast) for contrast in found.contrasts)
    assert inspect_run(runs / "boosting").weights == ()


@pytest.mark.parametrize("recipe", RECIPES)
def test_without_features_there_is_nothing_to_learn(recipe: str, log: SessionLog, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"setting terms: found none; fit-{recipe} expects at least one, or all"):
        irecgan.train(log, recipe=recipe, out=tmp_path / "run", settings={"terms": ()})
    assert not (tmp_path / "run").exists()
