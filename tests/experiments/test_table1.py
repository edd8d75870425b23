from pathlib import Path

import polars as pl
import pytest

from irecgan.data.log import SessionLog
from irecgan.data.prepare import prepare
from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.experiments.frame.study import Json, run_study
from irecgan.experiments.registry import find_experiment
from irecgan.experiments.table1.cell import work
from irecgan.experiments.table1.claims import comparisons
from irecgan.experiments.table1.conclude import conclude
from irecgan.experiments.table1.results import parts
from irecgan.experiments.table1.settings import NAIVE, SHOP, Shop, Table1Cell, Table1Settings, cells
from small_logs import small_log

SMALL = Table1Settings(
    shop=Shop(items=300, sessions=1_500, evaluation_sessions=100), models=("pg", "irecgan"), seeds=2, min_candidates=3
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    small_log(80).write(folder / "log.parquet")
    prepare("log", [folder / "log.parquet"], folder / "mine", shares=(0.5, 0.25, 0.25))
    return folder / "mine"


def test_naive_orders_of_the_shop_have_metrics_and_true_values(tmp_path: Path) -> None:
    found = work(SMALL, Table1Cell(log=SHOP, split="random", seed=0, row=NAIVE), tmp_path)
    assert found.keys() == {"logged_order", "last_first", "popularity", "co_click", "random", "oracle"}
    assert "rerank" not in found["oracle"]
    clicks = {name: result["worth"]["clicks"]["mean"] for name, result in found.items()}
    assert max(clicks, key=lambda name: clicks[name]) == "oracle"
    assert min(clicks, key=lambda name: clicks[name]) == "random"


def test_a_model_on_a_prepared_log_is_split_as_it_was_prepared(prepared: Path, tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"logs": (str(prepared),), "min_candidates": 2})
    cell = Table1Cell(log="mine", split="random", seed=3, row=NAIVE)
    found = work(settings, cell, tmp_path)
    assert 5 <= found["random"]["rerank"]["sessions"] <= 20  # a quarter of 80, less those without a click
    assert "worth" not in found["random"]
    assert work(settings, cell, tmp_path) == found
    other = work(settings, cell.model_copy(update={"seed": 4}), tmp_path)
    assert other["logged_order"] != found["logged_order"]


def test_a_log_that_is_given_has_intervals_over_sessions_and_differences(prepared: Path, tmp_path: Path) -> None:
    """Seeds that change nothing (a split by time, orders without chance) say no more than one."""
    settings = SMALL.model_copy(update={"logs": (str(prepared),), "models": ("pg",), "min_candidates": 2})
    cell = Table1Cell(log="mine", split="random", seed=0, row=NAIVE)
    found = work(settings, cell, tmp_path)
    (one,), (three,) = (
        parts([(cell.model_copy(update={"seed": seed}), found) for seed in range(seeds)]) for seeds in (1, 3)
    )
    assert one.metrics == ("p@1", "p@10", "mrr", "ndcg@10", "first@1")
    width = one.mean("popularity", "p@1")
    assert width.low < width.mean < width.high
    assert width.mean == pytest.approx(found["popularity"]["rerank"]["p@1"]["mean"])
    assert three.mean("popularity", "p@1").to_json() == pytest.approx(width.to_json())
    conclusion = conclude(settings, [(cell, found)])
    (part,) = conclusion.json["parts"]
    gained = part["rows"]["popularity"]["mrr"]["mean"] - part["rows"]["last_first"]["mrr"]["mean"]
    assert part["less_last_first"]["popularity"]["mrr"]["mean"] == pytest.approx(gained)
    assert "less last_first" in conclusion.text
    assert "paired t test over sessions" in conclusion.html


def test_a_log_without_rewards_is_reranked_too(tmp_path: Path) -> None:
    frame = small_log(80).frame.drop("reward")
    SessionLog.from_frame(frame).write(tmp_path / "log.parquet")
    prepare("log", [tmp_path / "log.parquet"], tmp_path / "plain", shares=(0.5, 0.25, 0.25))
    settings = SMALL.model_copy(update={"logs": (str(tmp_path / "plain"),), "min_candidates": 2})
    found = work(settings, Table1Cell(log="plain", split="random", seed=0, row=NAIVE), tmp_path)
    assert found["random"]["rerank"]["steps"] > 0


def test_parts_of_one_log_have_ids_of_one_type(tmp_path: Path) -> None:
    """One session alone has an item that is not written like an integer: the other parts have none."""
    frame = small_log(80).frame.with_columns(pl.col("slate").cast(pl.List(pl.String)), pl.col("click").cast(pl.String))
    renamed = pl.when(pl.col("session_id") == frame["session_id"][0])
    as_text = renamed.then(pl.concat_str(pl.lit("x"), "click")).otherwise("click")
    slates = renamed.then(pl.col("slate").list.eval(pl.lit("x") + pl.element())).otherwise("slate")
    SessionLog.from_frame(frame.with_columns(slate=slates, click=as_text)).write(tmp_path / "log.parquet")
    prepare("log", [tmp_path / "log.parquet"], tmp_path / "text", shares=(0.5, 0.25, 0.25))
    settings = SMALL.model_copy(update={"logs": (str(tmp_path / "text"),), "min_candidates": 2})
    found = work(settings, Table1Cell(log="text", split="random", seed=0, row=NAIVE), tmp_path)
    assert found["random"]["rerank"]["steps"] > 0


def test_wrong_logs_are_named(prepared: Path, tmp_path: Path) -> None:
    twice = SMALL.model_copy(update={"logs": (str(prepared), str(prepared))})
    with pytest.raises(UserError, match="found folders named mine, mine; expected different names"):
        cells(twice)
    short = SMALL.model_copy(update={"logs": (str(prepared),), "models": ("pg",), "min_candidates": 11})
    with pytest.raises(UserError, match="found no clicked step with at least 11 items"):
        run_study(find_experiment("table1"), short, tmp_path / "out", Here())
    assert not (tmp_path / "out").exists()
    by_time = short.model_copy(update={"splits": ("time",), "min_candidates": 2})
    with pytest.raises(UserError, match="missing column timestamp; it is needed to split by time"):
        run_study(find_experiment("table1"), by_time, tmp_path / "out", Here())


def reranked(value: float) -> Json:
    metrics = {name: {"mean": value, "low": value, "high": value} for name in ("p@1", "p@10", "mrr", "ndcg@10")}
    return {**metrics, "steps": 100, "sessions": 40, "skipped": 0}


def synthetic(cell: Table1Cell) -> Json:
    """IRecGAN .1 above PG, popularity above both; the oracle is known in the world alone."""
    worth = {"worth": {"purchases": {"mean": 0.02}, "clicks": {"mean": 1.0}}}
    if cell.row == NAIVE:
        return {"popularity": {"rerank": reranked(0.6), **worth}, "oracle": worth}
    value = {"pg": 0.3, "irecgan": 0.4}[cell.row] + 0.01 * cell.seed
    return {cell.row: {"rerank": reranked(value), **worth}}


def test_a_metric_that_cannot_fail_decides_nothing() -> None:
    settings = SMALL.model_copy(update={"seeds": 3})
    same = {"irecgan": {"irecgan": {"rerank": reranked(1.0)}}, "pg": {"pg": {"rerank": reranked(1.0)}}}
    results = [(cell, same[cell.row]) for cell in cells(settings) if cell.row in same]
    assert comparisons(parts(results)) == []


def test_claims_and_report_of_known_results() -> None:
    settings = SMALL.model_copy(update={"seeds": 3})
    results = [(cell, synthetic(cell)) for cell in reversed(cells(settings))]
    (part,) = parts(results)
    assert part.values("irecgan", "p@10") == pytest.approx([0.4, 0.41, 0.42])
    assert part.ranked("p@10") == ["popularity", "irecgan", "pg"]
    by_claim = {comparison.claim: comparison for comparison in comparisons([part])}
    assert by_claim["IRecGAN has the best P@10"].differences == pytest.approx([0.1] * 3)
    assert not any("LSTM" in claim for claim in by_claim)
    conclusion = conclude(settings, results)
    verdicts = {claim["claim"]: claim["verdict"] for claim in conclusion.json["claims"]}
    assert verdicts["IRecGAN has the best P@10"] == "holds"
    assert verdicts["Not in the paper: IRecGAN beats every naive order and GRU4Rec"] == "does not hold"
    assert conclusion.html.count("<svg") == 2
    assert "6.79 ± 0.44, 35.06 ± 0.48" in conclusion.html


def test_context_that_a_model_has_learned_is_read_where_it_is_measured(tmp_path: Path) -> None:
    """The hour alone tells what is clicked."""
    rows = [
        {"session_id": i, "step": t, "slate": [1, 2, 3, 4], "click": 1 + (i + t) % 4, "hour": f"h{(i + t) % 4}"}
        for i in range(120)
        for t in range(3)
    ]
    SessionLog.from_frame(pl.DataFrame(rows)).write(tmp_path / "log.parquet")
    prepare("log", [tmp_path / "log.parquet"], tmp_path / "hours")
    settings = Table1Settings(
        shop=SMALL.shop,
        logs=(str(tmp_path / "hours"),),
        models=("lstm",),
        min_candidates=2,
        training=("context_features=hour", "units=16", "user_learning_rate=0.02", "user_epochs=15"),
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = work(settings, Table1Cell(log="hours", split="random", seed=0, row="lstm"), scratch)
    assert found["lstm"]["rerank"]["p@1"]["mean"] > 0.9


def test_first_lists_that_are_all_too_short_are_not_measured(tmp_path: Path) -> None:
    rows = [
        {"session_id": i, "step": t, "slate": list(range(2 + 4 * t)), "click": (i + t) % 2}
        for i in range(60)
        for t in range(2)
    ]
    SessionLog.from_frame(pl.DataFrame(rows)).write(tmp_path / "log.parquet")
    prepare("log", [tmp_path / "log.parquet"], tmp_path / "short")
    settings = SMALL.model_copy(update={"logs": (str(tmp_path / "short"),), "models": (), "seeds": 1})
    conclusion = run_study(find_experiment("table1"), settings, tmp_path / "out", Here())
    (part,) = conclusion.json["parts"]
    assert "first@1" not in part["rows"]["popularity"]
    assert "80% to learn from, 10% to stop by, 10% to rerank" in conclusion.html


def test_sessions_that_were_cut_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    results = [(cell, synthetic(cell)) for cell in cells(SMALL)]
    next(found for cell, found in results if cell.row == "pg")["pg"]["worth"]["cut"] = 7
    conclusion = conclude(SMALL, results)
    assert "up to 7 of 100 sessions were cut after 1000 clicks" in caplog.text
    assert all("cut after 1,000 clicks" in told for told in (conclusion.text, conclusion.html))
