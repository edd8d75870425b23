import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import irecgan
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.evaluation import online
from irecgan.evaluation.evaluate import OfflineEvaluation, OnlineEvaluation, evaluate
from irecgan.evaluation.online import known, play
from irecgan.evaluation.references import REFERENCE_NAMES
from irecgan.policies.interface import Policy
from irecgan.policies.logging import MaxPolicy, MixPolicy, RandomPolicy, SlateTablePolicy
from irecgan.runs.trained import TrainedPolicy
from irecgan.seeding import Streams
from irecgan.worlds.mdp import MDPSpec, MDPWorld, draw_world
from irecgan.worlds.oracle import optimal_value, reference_values
from small_logs import TINY, small_log, small_world
from small_shops import small_shop

NAIVE = {"popularity", "last_first", "co_click"}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> TrainedPolicy:
    out = tmp_path_factory.mktemp("evaluate") / "mine"
    return irecgan.train(small_log(200), recipe="pg", out=out, settings=TINY)


def test_simulated_values_agree_with_exact_ones() -> None:
    world = small_world()
    exact = reference_values(world)
    policies: dict[str, Policy[Any]] = {
        "oracle": SlateTablePolicy(optimal_value(world).slates),
        "max": MaxPolicy(world),
        "mix": MixPolicy(world),
        "random": RandomPolicy(world.catalogue_size, world.slate_size),
    }
    for name, reference in policies.items():
        found = play(reference, world, 20_000, Streams(0))
        width = found.cumulative_reward.high - found.cumulative_reward.mean
        assert found.cumulative_reward.mean == pytest.approx(exact[name], abs=2 * width), name
        assert found.cut == 0


@pytest.mark.parametrize("law", ["dirichlet:0.1", "softmax"])
def test_what_is_known_exactly_is_what_is_played(law: str) -> None:
    world = draw_world(law, states=4, items=9, slate_size=3, seed=1)
    slates = optimal_value(world).slates
    exact, played = known(world, slates), play(SlateTablePolicy(slates), world, 20_000, Streams(0))
    assert exact.cumulative_reward.mean == pytest.approx(optimal_value(world).value)
    assert exact.clicks == pytest.approx(played.clicks, rel=0.03)
    assert len(exact.coverage) == len(played.coverage) == 9
    for one, other in zip(exact.coverage, played.coverage, strict=True):
        assert one.mean == pytest.approx(other.mean, abs=2 * (other.high - other.mean) + 1e-9)


def test_coverage_of_policies_that_are_known() -> None:
    world = small_world()
    best = play(MaxPolicy(world), world, 500, Streams(0)).coverage
    assert [interval.mean for interval in best[: world.slate_size]] == [1, 1, 1]
    assert best[3].mean == pytest.approx(3 / 4)
    chance = play(RandomPolicy(world.catalogue_size, world.slate_size), world, 5_000, Streams(0)).coverage
    for interval in chance:
        assert interval.mean == pytest.approx(world.slate_size / world.catalogue_size, abs=0.03)
    assert len(chance) == world.catalogue_size


def test_online_json_has_the_promised_keys(policy: TrainedPolicy) -> None:
    found = evaluate(policy, world=small_world(), baselines=True, sessions=300)
    assert isinstance(found, OnlineEvaluation)
    runs = json.loads(json.dumps(found.to_json(), allow_nan=False))["runs"]
    assert {"mine", "oracle", "max", "mix", "random", "static", "belief", *NAIVE} == runs.keys()
    for name, fields in runs.items():
        reward = fields["cumulative_reward"]
        assert reward["low"] <= reward["mean"] <= reward["high"]
        assert (reward["low"] == reward["high"]) == (name in {"oracle", "max"})
        if name in {"oracle", "max"}:
            assert all(share["low"] == share["high"] for share in fields["coverage_intervals"].values())
        assert set(fields["coverage"]) == {str(r) for r in range(1, 9)}
    assert runs["mine"]["sampled"]["cumulative_reward"]["mean"] > 0
    assert runs["oracle"]["cumulative_reward"]["mean"] == max(r["cumulative_reward"]["mean"] for r in runs.values())
    assert "mine (sampled)" in found.table()


def test_offline_json_has_the_promised_keys(policy: TrainedPolicy) -> None:
    found = evaluate(policy, log=small_log(50, seed=8), baselines=True, min_candidates=3)
    assert isinstance(found, OfflineEvaluation)
    runs = json.loads(json.dumps(found.to_json(), allow_nan=False))["runs"]
    assert {"mine", "logged_order", "random", *NAIVE} == runs.keys()
    for fields in runs.values():
        assert {"p@1", "p@10", "mrr", "ndcg@10", "steps", "sessions"} <= fields.keys()
        assert fields["p@10"]["mean"] == 1  # slates of 3
    assert "P@1" in found.table()


@pytest.mark.parametrize(("others", "told"), [(8, True), (6, True), (2, False), (0, False)])
def test_a_log_of_other_items_is_told_once_a_run(
    others: int, told: bool, policy: TrainedPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    frame = small_log(50, seed=8).frame
    share = (frame["slate"].explode() < others).mean()
    renamed = {item: item + 100 for item in range(others)}
    slates = pl.col("slate").list.eval(pl.element().replace(renamed))
    log = SessionLog(frame.with_columns(slates, pl.col("click").replace(renamed)), "other.csv")
    evaluate([policy, policy], log=log, baselines=True, min_candidates=3)
    line = "other.csv: {:.0f} % of the items shown are unknown to run mine (run {})"
    assert caplog.messages == [line.format(100 * share, run) for run in (1, 2) if told]  # type: ignore[operator]


def test_steps_that_are_left_out_are_told_of_once(policy: TrainedPolicy, caplog: pytest.LogCaptureFixture) -> None:
    frame = small_log(20, seed=1).frame.with_columns(
        pl.when(pl.col("step") > 0).then("click"), pl.when(pl.col("step") > 0).then("reward").fill_null(0.0)
    )
    evaluate([policy, policy], log=SessionLog.from_frame(frame), baselines=True, min_candidates=3)
    assert caplog.text.count("steps in mid-session without a click are left out") == 1


def test_results_are_repeatable_and_depend_on_the_seed(policy: TrainedPolicy) -> None:
    first, again, other = (evaluate(policy, world=small_world(), sessions=200, seed=s).to_json() for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        irecgan.train(small_log(), recipe="lstm", out=tmp_path / parent / "run", settings=TINY)
    paths = [tmp_path / parent / "run" for parent in ("a", "b")]
    found = evaluate(paths, world=small_world(), sessions=50)
    assert list(found.runs) == [str(path) for path in paths]


def test_a_run_called_like_a_reference_has_a_row_of_its_own(
    policy: TrainedPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    irecgan.train(small_log(), recipe="lstm", out=tmp_path / "random", settings=TINY)
    asked: dict[str, Any] = {"log": small_log(50, seed=8), "min_candidates": 3}
    alone = evaluate(tmp_path / "random", **asked).to_json()["runs"]
    found = evaluate(tmp_path / "random", baselines=True, **asked).to_json()["runs"]
    assert list(alone) == ["random"]
    assert found[str(tmp_path / "random")] == alone["random"]
    assert found["random"] != alone["random"]
    monkeypatch.chdir(tmp_path)
    assert "random (run 1)" in evaluate("random", baselines=True, **asked).runs
    assert list(evaluate([policy, policy], **asked).runs) == ["mine (run 1)", "mine (run 2)"]
    assert list(evaluate(["random", "random"], **asked).runs) == ["random", "random (run 2)"]


def test_the_names_of_references_are_known(policy: TrainedPolicy) -> None:
    found = set(evaluate(policy, log=small_log(50, seed=8), baselines=True, min_candidates=3).runs)
    for world in (small_world(), small_shop()):
        found |= evaluate(policy, world=world, baselines=True, sessions=20).runs.keys()
    assert found == REFERENCE_NAMES | {"mine"}


def test_lists_of_ten_count_or_all_where_none_is_so_long(
    policy: TrainedPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    short = small_log(50, seed=8)
    found = evaluate(policy, log=short)
    assert found["min_candidates"] == 2
    assert found["runs"]["mine"]["steps"] == short.clicks
    assert "no clicked list has 10 items or more" in caplog.text
    longer = short.frame.with_columns(pl.col("slate").list.concat(pl.lit([*range(90, 97)])))
    one = pl.concat([longer[:1], short.frame[1:]])
    found = evaluate(policy, log=SessionLog.from_frame(one))
    assert (found["min_candidates"], found["runs"]["mine"]["steps"]) == (10, 1)


def test_sessions_that_are_cut_are_told_of(
    policy: TrainedPolicy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(online, "LONGEST", 1)
    evaluate(policy, world=small_world(), sessions=50)
    assert "of 50 sessions were cut after" in caplog.text


def test_intervals_of_few_sessions_stay_where_numbers_can_be(policy: TrainedPolicy) -> None:
    for seed in range(5):
        found = evaluate(policy, world=small_world(), sessions=2, seed=seed)["runs"]["mine"]
        assert found["cumulative_reward"]["low"] >= 0
        assert all(0 <= i["low"] <= i["high"] <= 1 for i in found["coverage_intervals"].values())


def test_a_world_without_ceilings_is_refused_before_anybody_plays(policy: TrainedPolicy) -> None:
    sure = small_world().spec.model_dump() | {"reward": [[1.0] * 8] * 3}
    with pytest.raises(UserError, match="sessions that never end"):
        evaluate(policy, world=MDPWorld(MDPSpec.model_validate(sure)), baselines=True)


def test_wrong_calls_are_named(policy: TrainedPolicy, tmp_path: Path) -> None:
    world = small_world()
    with pytest.raises(UserError, match="either --log or --world"):
        evaluate(policy)
    with pytest.raises(UserError, match="either --log or --world"):
        evaluate(policy, log=small_log(), world=world)
    with pytest.raises(UserError, match="--sessions: found 0"):
        evaluate(policy, world=world, sessions=0)
    with pytest.raises(UserError, match="at least one run"):
        evaluate([], world=world)
    with pytest.raises(UserError, match="found no clicked step with at least 4 items"):
        evaluate(policy, log=small_log(), min_candidates=4)
    with pytest.raises(UserError, match=r"nowhere\.json: no such file"):
        evaluate(policy, world=tmp_path / "nowhere.json")
