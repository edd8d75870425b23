"""A recipe that chooses: what it writes, that it resumes, and how it can be told."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import irecgan
from interrupting import interrupted_after
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.policies.logging import MaxPolicy, RandomPolicy
from irecgan.policies.presented import PresentedOrder
from irecgan.runs.manifest import Decision, Manifest
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.training.choice import auto
from irecgan.training.choice.auto import FOLDER
from irecgan.training.choice.folds import Fitted, fit
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.recipes import Recipe
from irecgan.worlds.mdp import draw_world
from small_logs import TINY, small_log
from small_shops import small_shop

WORLD = draw_world("dirichlet:0.02", states=5, items=20, slate_size=3, seed=0)
ASKED = {**TINY, "candidates": "count,pg,latent"}
OF_ONE = pytest.mark.xdist_group("chosen")  # whoever has the run has it for all tests


def log_of(policy: Any, sessions: int = 400) -> SessionLog:
    return simulated_log(policy, WORLD, sessions, max_length=100, streams=Streams(0))


def decision_of(run: Path) -> Decision:
    found = Manifest.read(run).decision
    assert found is not None
    return found


def test_where_slates_tell_the_state_the_planner_is_chosen_and_it_is_worth_more(tmp_path: Path) -> None:
    log = log_of(MaxPolicy(WORLD))
    irecgan.train(log, recipe="auto", out=tmp_path / "auto", settings=ASKED)
    decision = decision_of(tmp_path / "auto")
    assert decision.learned == "latent"
    assert [c.name for c in decision.candidates] == ["count", "pg", "latent"]
    assert "latent has the highest worth" in decision.reason
    irecgan.train(log, recipe="latent", out=tmp_path / "latent", settings=ASKED)
    same = ((tmp_path / run / "latent.safetensors").read_bytes() for run in ("auto", "latent"))
    assert len(set(same)) == 1  # the chosen recipe learns from the whole log, as by itself
    irecgan.train(log, recipe="count", out=tmp_path / "count", settings=ASKED)
    runs = irecgan.evaluate([tmp_path / "auto", tmp_path / "count"], world=WORLD, sessions=4_000).to_json()["runs"]
    assert runs["auto"]["cumulative_reward"]["low"] > runs["count"]["cumulative_reward"]["high"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is chosen and learned of a small log."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    irecgan.train(small_log(), recipe="auto", out=out, settings=ASKED)
    return out


@OF_ONE
def test_only_the_run_is_left(whole: Path) -> None:
    assert not (whole / FOLDER).exists()
    policy = irecgan.load_policy(whole)
    assert len(policy.recommend([1], 3).items) == 3
    assert sorted(policy.rerank([1], [2, 0, 5]).items) == [0, 2, 5]


def test_a_recipe_that_gives_way_is_not_counted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irecgan.training.latent.structures.CLICK_STATES", (2,))
    monkeypatch.setattr("irecgan.training.choice.worth.LEAST_CLICKS", 10)
    log = log_of(RandomPolicy(20, 3))
    irecgan.train(log, recipe="auto", out=tmp_path / "run", settings={**TINY, "candidates": "pg,slate"})
    pg, slate = decision_of(tmp_path / "run").candidates
    assert pg.estimate is not None
    assert pg.off_policy is not None  # a random log has propensities
    assert (slate.learned, slate.estimate) == ("pg", None)


@OF_ONE
@pytest.mark.parametrize("saves", [2, 9])
def test_it_goes_on_where_it_was_interrupted(
    saves: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, out = small_log(), tmp_path / "killed"
    with interrupted_after(saves, monkeypatch):
        irecgan.train(log, recipe="auto", out=out, settings=ASKED)
    irecgan.train(log, recipe="auto", out=out, settings=ASKED, resume=True)
    first, again = decision_of(whole), decision_of(out)
    assert again.reason == first.reason
    assert [c.estimate for c in again.candidates] == [c.estimate for c in first.candidates]


def test_lists_judge_where_the_log_is_of_lists(tmp_path: Path) -> None:
    asked = {**TINY, "candidates": "count,lstm", "choose_by": "lists"}
    irecgan.train(small_log(), recipe="auto", out=tmp_path / "run", settings=asked)
    decision = decision_of(tmp_path / "run")
    assert "reciprocal rank" in decision.reason
    assert all(c.estimate is not None and 0 < c.estimate <= 1 and c.off_policy is None for c in decision.candidates)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"candidates": "count,nothing"}, "'nothing': no such recipe"),
        ({"candidates": "count,auto"}, "setting candidates: found 'auto'"),
        ({"choose_by": "users", "candidates": "count"}, "latent user model"),
    ],
)
def test_what_cannot_be_chosen_is_refused_and_nothing_is_left(
    settings: dict[str, str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irecgan.training.latent.structures.LARGEST", 1)
    with pytest.raises(UserError, match=named):
        irecgan.train(small_log(), recipe="auto", out=tmp_path / "run", settings={**TINY, **settings})
    assert not (tmp_path / "run").exists()


def test_a_candidate_that_cannot_be_fitted_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irecgan.training.latent.structures.LARGEST", 1)
    irecgan.train(small_log(), recipe="auto", out=tmp_path / "run", settings=ASKED)
    decision = decision_of(tmp_path / "run")
    assert "reciprocal rank" in decision.reason  # no users could be fitted to judge
    assert "latent user model" in next(c.note for c in decision.candidates if c.name == "latent")


def test_lists_judge_where_it_is_not_known_when_users_leave(tmp_path: Path) -> None:
    """Fitted to such a log, users click whatever they are shown."""
    clicks = SessionLog.from_frame(log_of(MaxPolicy(WORLD)).frame.filter(pl.col("click").is_not_null()))
    irecgan.train(clicks, recipe="auto", out=tmp_path / "run", settings=ASKED)
    assert "the log does not hold the slates at which users left" in decision_of(tmp_path / "run").reason
    with pytest.raises(UserError, match="setting choose_by: found users; the log does not hold"):
        irecgan.train(clicks, recipe="auto", out=tmp_path / "other", settings={**ASKED, "choose_by": "users"})


def test_lists_judge_where_something_else_retrieved_them(tmp_path: Path) -> None:
    log = simulated_log(PresentedOrder(), small_shop(items=200), 400, max_length=40, streams=Streams(0))
    irecgan.train(log, recipe="auto", out=tmp_path / "run", settings={**TINY, "candidates": "count,linear"})
    decision = decision_of(tmp_path / "run")
    assert "foretells clicks better than users with a hidden state" in decision.reason
    assert decision.figures["clicks/by_lists"] > decision.figures["clicks/by_users"] + 0.05
    assert decision.learned == "linear"


def test_users_judge_where_lists_tell_no_more(tmp_path: Path) -> None:
    irecgan.train(log_of(RandomPolicy(20, 3)), recipe="auto", out=tmp_path / "run", settings=ASKED)
    decision = decision_of(tmp_path / "run")
    assert "worth per session" in decision.reason
    assert decision.figures["slates/silent"] == 1
    assert decision.figures["clicks/by_lists"] < decision.figures["clicks/by_users"] + 0.05


@pytest.mark.parametrize("sessions", range(4, 9))
def test_a_few_sessions_end_in_a_run_or_in_one_line(
    sessions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: dict[str, Fitted] = {}

    def fit_once(recipe: Recipe, data: TrainingData, config: TrainingConfig, streams: Streams, out: Path) -> Fitted:
        """Both judges are asked about the same candidates."""
        if out.name not in fits:
            fits[out.name] = fit(recipe, data, config, streams, out)
        return fits[out.name]

    monkeypatch.setattr(auto, "fit", fit_once)
    for choose_by in ("users", "lists"):
        with suppress(UserError):
            settings = {**ASKED, "choose_by": choose_by}
            irecgan.train(small_log(sessions), recipe="auto", out=tmp_path / choose_by, settings=settings)
            assert decision_of(tmp_path / choose_by).figures["slates/silent"] == 0


def test_of_too_few_sessions_the_first_candidate_learns(tmp_path: Path) -> None:
    irecgan.train(small_log(3), recipe="auto", out=tmp_path / "run", settings=ASKED)
    decision = decision_of(tmp_path / "run")
    assert (decision.learned, decision.candidates) == ("count", ())
    assert "the log has 3 sessions, fewer than the 4" in decision.reason
    with pytest.raises(UserError, match="'nothing': no such recipe"):
        irecgan.train(small_log(3), recipe="auto", out=tmp_path / "no", settings={**TINY, "candidates": "nothing"})


def log_of_clicks(clicks: list[str | None]) -> SessionLog:
    """Sessions of one step each, of two items."""
    click, steps = pl.Series(clicks, dtype=pl.String), len(clicks)
    columns = {"session_id": range(steps), "step": [0] * steps, "slate": [["a", "b"]] * steps, "click": click}
    return SessionLog.from_frame(pl.DataFrame(columns))


def test_where_a_half_has_no_click_the_first_candidate_learns(tmp_path: Path) -> None:
    log = log_of_clicks(["a"] + [None] * 11)
    asked = {**TINY, "candidates": "pg,count"}
    irecgan.train(log, recipe="auto", out=tmp_path / "run", validation=log, settings=asked)
    decision = decision_of(tmp_path / "run")
    assert decision.learned == "pg"
    assert "half of the log has no click to learn from" in decision.reason


def test_where_a_half_has_one_clicked_list_the_first_candidate_learns(tmp_path: Path) -> None:
    log = log_of_clicks(["a", "b", *[None] * 4])
    settings = {**TINY, "candidates": "count", "choose_by": "lists"}
    found = {}
    for seed in range(6):
        irecgan.train(log, recipe="auto", out=tmp_path / f"{seed}", settings=settings, validation=log, seed=seed)
        found[decision_of(tmp_path / f"{seed}").reason.split(": ")[-1]] = decision_of(tmp_path / f"{seed}").learned
    few = "in half of the log the sessions with a click worth something in a list are 1; a comparison takes 2"
    assert found[few] == "count"
