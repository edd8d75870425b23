"""Policies on another device than this one, without such a device: of tensors, only shapes and places are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

import irecgan
from irecgan.data.encode import encode
from irecgan.policies.latent import LatentPolicy
from irecgan.policies.translated import Translated
from irecgan.runs.store import load_run
from irecgan.runs.trained import TrainedPolicy, load_policy
from small_logs import TINY, small_log

ELSEWHERE = "lazy:0"  # a type of device that torch knows and that has no part in this project
SESSIONS = 20
RECIPES = ("count", "pg", "gru4rec", "lstm", "terms", "linear", "latent")


@contextmanager
def only_places() -> Iterator[None]:
    """Operations compute nothing and refuse tensors of several devices."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()):
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


pytestmark = pytest.mark.xdist_group("mixed devices")  # whoever has the runs has them for all tests


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    for recipe in RECIPES:
        irecgan.train(small_log(), recipe=recipe, out=out / recipe, settings=TINY)
    return out


@pytest.mark.parametrize("recipe", RECIPES)
def test_sessions_go_on_where_the_policy_is(recipe: str, runs: Path) -> None:
    run = load_run(runs / recipe)
    with only_places():
        ranker = TrainedPolicy(run, "elsewhere", ELSEWHERE).ranker
        state, here = ranker.start(SESSIONS), torch.arange(SESSIONS, device=ELSEWHERE)
        for _ in range(2):
            for scores in (ranker.scores(state), ranker.scores_of(state, here[:, None].expand(-1, 3) * 0)):
                assert str(scores.device) == ELSEWHERE
            state = ranker.advance(state.take(here), here * 0)


@pytest.mark.parametrize("recipe", ["count", "latent"])
def test_logged_lists_are_scored_where_the_policy_is(recipe: str, runs: Path) -> None:
    run = load_run(runs / recipe)
    batch = encode(small_log(), run.catalogue).batch(torch.arange(SESSIONS))
    with only_places():
        assert TrainedPolicy(run, "elsewhere", ELSEWHERE).score_slates(batch).shape[1] == run.slate_size


def test_a_plan_follows_the_slates_that_a_world_shows(runs: Path) -> None:
    policy = load_policy(runs / "latent")
    policy.device = torch.device(ELSEWHERE)
    played = policy.in_world(8, slate_size=3)
    assert isinstance(played, Translated)
    assert isinstance(played.policy, LatentPolicy)
    assert played.policy.ranker.model.weight.device.type == "cpu"


def test_tensors_of_several_devices_are_refused_here(runs: Path) -> None:
    run = load_run(runs / "latent")
    with only_places():
        ranker = TrainedPolicy(run, "elsewhere", ELSEWHERE).ranker
        with pytest.raises(RuntimeError, match="the same device"):
            ranker.scores_of(ranker.start(1), torch.zeros(1, 3, dtype=torch.int64))
