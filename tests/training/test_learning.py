"""Does it learn? On worlds small enough to know the answer."""

from pathlib import Path

import numpy as np
import pytest

import irecgan
from irecgan.evaluation.evaluate import evaluate
from irecgan.training.metrics import read_metrics
from irecgan.training.recipes import RECIPES
from irecgan.worlds.mdp import MDPWorld, draw_world
from irecgan.worlds.oracle import reference_values
from small_logs import small_log

SETTINGS = {
    "units": 16,
    "embedding": 8,
    "layers": 1,
    "agent_learning_rate": 5e-3,
    "user_learning_rate": 5e-3,
    "user_epochs": 12,
    "agent_epochs": 12,
    "rounds": 2,
    "completions": 2,
    "distillation_sessions": 400,
    "distillation_held_out": 100,
    "distillation_epochs": 5,
}


def informative_world() -> MDPWorld:
    """Four items are good in every state, eight are poor."""
    spec = draw_world("softmax", states=3, items=12, slate_size=3, seed=2).spec
    reward = np.asarray(spec.reward) * 0.3
    reward[:, :4] += 0.5
    return MDPWorld(spec.model_copy(update={"reward": reward.tolist()}))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_beats_random_and_none_the_oracle(recipe: str, tmp_path: Path) -> None:
    world = informative_world()
    log = small_log(400, world=world)
    policy = irecgan.train(log, recipe=recipe, out=tmp_path / "run", settings=SETTINGS)
    found = evaluate(policy, world=world, sessions=4_000).to_json()["runs"]["run"]["cumulative_reward"]
    exact = reference_values(world)
    assert found["low"] > exact["random"]
    assert found["low"] < exact["oracle"]


def test_generated_sessions_are_as_long_as_logged_ones(tmp_path: Path) -> None:
    world = informative_world()
    irecgan.train(small_log(600, world=world), recipe="irecgan", out=tmp_path / "run", settings=SETTINGS)
    rounds = [line for line in read_metrics(tmp_path / "run") if line["phase"] == "rounds"]
    made = np.mean([float(line["generated/clicks"]) for line in rounds])
    assert made == pytest.approx(float(rounds[0]["logged/clicks"]), rel=0.2)


def test_nothing_is_won_where_all_items_are_alike(tmp_path: Path) -> None:
    """The negative control."""
    spec = draw_world("softmax", states=3, items=12, slate_size=3, seed=2).spec
    flat = MDPWorld(spec.model_copy(update={"reward": [[0.5] * 12] * 3}))
    policy = irecgan.train(small_log(200, world=flat), recipe="pg", out=tmp_path / "run", settings=SETTINGS)
    found = evaluate(policy, world=flat, sessions=4_000).to_json()["runs"]["run"]["cumulative_reward"]
    assert found["low"] <= reference_values(flat)["random"] <= found["high"]
