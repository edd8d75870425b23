"""Trainings that read columns of items and of the log."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from test_train import assert_same, weights

import irecgan
from interrupting import interrupted_after
from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import COLUMNS
from irecgan.data.encode import encode
from irecgan.data.fitting import fit, parse_wanted
from irecgan.data.log import SessionLog
from irecgan.data.scanned import ScannedLog, read_or_scan
from irecgan.data.stored import stored
from irecgan.errors import UserError
from irecgan.experiments.frame.training import trained
from irecgan.runs.inspection import inspect_run
from irecgan.runs.trained import TrainedPolicy, load_policy
from irecgan.training.config import PRESETS
from irecgan.training.recipes import RECIPES
from irecgan.training.tuning import train_best
from small_logs import TINY, small_log

QUICK = {"units": 16, "embedding": 8, "layers": 1, "user_learning_rate": 0.01, "agent_learning_rate": 0.01}
TABLE = pl.DataFrame({"item_id": range(10), "kind": ["good", "bad"] * 5, "price": [1.0, 2, 3, 4, 5, 5, 4, 3, None, 1]})
BOTH = {**TINY, "item_features": "all", "context_features": "device,hour"}


def kinds_decide(sessions: int = 200) -> SessionLog:
    """Of items 0 to 7 two are shown, an even and an odd one; the even one is clicked."""
    draw = torch.Generator().manual_seed(3)
    even, odd = (2 * torch.randint(4, (sessions,), generator=draw) + odd for odd in (0, 1))
    turned = torch.rand(sessions, generator=draw) < 0.5
    slates = torch.stack([torch.where(turned, odd, even), torch.where(turned, even, odd)], dim=1).tolist()
    columns = {"session_id": range(sessions), "step": [0] * sessions, "slate": slates, "click": even.tolist()}
    return SessionLog.from_frame(pl.DataFrame(columns), "kinds")


def devices_decide(sessions: int = 300) -> SessionLog:
    """Items 1 and 2 are shown; on a phone 1 is clicked, on a tv 2."""
    device = ["phone", "tv", "tv"] * (sessions // 3)
    rows: dict[str, Any] = {"session_id": range(sessions), "step": [0] * sessions, "slate": [[1, 2]] * sessions}
    clicks = [1 if found == "phone" else 2 for found in device]
    return SessionLog.from_frame(pl.DataFrame({**rows, "click": clicks, "device": device}), "devices")


def with_context(log: SessionLog) -> SessionLog:
    row = pl.int_range(pl.len())
    device = pl.when(row % 3 == 0).then(pl.lit("tv")).otherwise(pl.lit("pc"))
    return SessionLog.from_frame(log.frame.with_columns(hour=row % 24, device=device), log.name)


@pytest.mark.parametrize("settings", [{}, {"id_dropout": 0.5}, {"output": "tied"}], ids=str)
@pytest.mark.parametrize("recipe", ["lstm", "gru4rec"])
def test_items_never_shown_rank_by_their_columns(recipe: str, settings: dict[str, Any], tmp_path: Path) -> None:
    asked = {**QUICK, **settings, "item_features": "kind", "user_epochs": 15, "agent_epochs": 15}
    policy = irecgan.train(kinds_decide(), items=TABLE, recipe=recipe, out=tmp_path / "run", settings=asked)
    assert policy.catalogue.items.to_list() == list(range(10))
    answer = policy.rerank([], [9, 8])
    assert answer.items == [8, 9]
    assert answer.probabilities[0] > 0.7
    assert 8 in policy.recommend([], 6).items
    without = irecgan.train(kinds_decide(), recipe=recipe, out=tmp_path / "without", settings=QUICK)
    assert without.rerank([], [9, 8]).probabilities == [0, 0]


def test_of_a_new_item_nothing_but_its_columns_is_known(tmp_path: Path) -> None:
    told = TABLE.with_columns(kind=pl.Series(["good", "bad"] * 4 + ["good", "good"]))
    asked = {**TINY, **QUICK, "item_features": "kind"}
    policy = irecgan.train(kinds_decide(), items=told, recipe="irecgan", out=tmp_path / "run", settings=asked)
    first, second = policy.rerank([4], [9, 8]).probabilities
    assert first == pytest.approx(second)
    assert policy.popularity[:, 8:].tolist() == [[0, 0], [0, 0]]
    assert policy.co_clicks is not None
    assert policy.co_clicks.catalogue_size == 10


def test_the_context_of_a_step_decides_what_is_ranked_first(tmp_path: Path) -> None:
    for recipe in ("lstm", "gru4rec"):
        asked = {**QUICK, "context_features": "device", "user_epochs": 20, "agent_epochs": 20}
        policy = irecgan.train(devices_decide(), recipe=recipe, out=tmp_path / recipe, settings=asked)
        best = {device: policy.recommend(k=1, context={"device": device}).items for device in ("phone", "tv")}
        assert best == {"phone": [1], "tv": [2]}
        assert policy.recommend(k=1).items == [2]  # two in three sessions are on a tv
        assert policy.rerank([], [1, 2], {"device": "phone"}).items == [1, 2]
        found = irecgan.evaluate(policy, log=devices_decide(30), min_candidates=2).to_json()["runs"]
        assert found[recipe]["p@1"]["mean"] == 1


ALL = {"item_features": "all"}
HOUR = {"context_features": "hour"}
LARGE = {**PRESETS["large"], "negatives": 4}
READING = [
    name for name, recipe in RECIPES.items() if recipe.deploys in {"user", "agent"} and name != "latent-distilled"
]


@pytest.mark.parametrize("recipe", READING)
@pytest.mark.parametrize("settings", [{}, LARGE], ids=["small", "large"])
def test_every_recipe_reads_columns(recipe: str, settings: dict[str, Any], tmp_path: Path) -> None:
    log = with_context(small_log())
    asked = {**settings, **BOTH, "id_dropout": 0.2}
    policy = irecgan.train(log, items=TABLE, recipe=recipe, out=tmp_path / "run", settings=asked)
    assert len(policy.recommend([1, 2], context={"device": "tv", "hour": 3}).items) == 3
    again = load_policy(tmp_path / "run")
    assert again.recommend([1, 9], 10) == policy.recommend([1, 9], 10)
    assert again.context == policy.context


def test_distilled_plans_read_columns_of_items_and_drop_ids(tmp_path: Path) -> None:
    kept = []
    for name, share in (("all", 0.0), ("some", 0.5)):
        asked = {**TINY, "item_features": "all", "id_dropout": share}
        policy = irecgan.train(small_log(), items=TABLE, recipe="latent-distilled", out=tmp_path / name, settings=asked)
        assert sorted(policy.rerank([1], [9, 8]).items) == [8, 9]
        kept.append(weights(tmp_path / name)["agent"]["encoder.content.features.weight"])
    assert not torch.equal(*kept)


@pytest.mark.parametrize(
    ("recipe", "columns"),
    [
        *((recipe, ALL) for recipe in ("count", "latent", "linear", "boosting")),
        *((recipe, HOUR) for recipe in ("count", "latent", "linear", "boosting", "latent-distilled")),
    ],
)
def test_recipes_that_do_not_read_columns_refuse_them(recipe: str, columns: dict[str, str], tmp_path: Path) -> None:
    (key,) = columns
    found = f"^setting {key}: found {columns[key]} with recipe {recipe}, which does not read it; expected none$"
    with pytest.raises(UserError, match=found):
        irecgan.train(
            with_context(small_log()),
            items=TABLE,
            recipe=recipe,
            out=tmp_path / "run",
            settings={**TINY, **columns},
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["count", "linear", "latent-distilled", "pg"])
def test_a_recipe_that_is_chosen_reads_what_it_can_and_inspect_says_so(recipe: str, tmp_path: Path) -> None:
    """The candidates of a choice are told of the same columns."""
    asked = {**BOTH, "candidates": recipe, "choose_by": "lists", "id_dropout": 0.2}
    log = with_context(small_log())
    policy = irecgan.train(log, items=TABLE, recipe="auto", out=tmp_path / "run", settings=asked)
    read = {"pg": ("kind", "price", "device", "hour"), "latent-distilled": ("kind", "price")}.get(recipe, ())
    assert inspect_run(tmp_path / "run").columns == read
    assert (policy.context is not None) == (recipe == "pg")
    assert len(policy.catalogue) == 10


def test_rows_of_a_study_read_what_they_can(tmp_path: Path) -> None:
    changes = ["context_features=hour", *(f"{key}={value}" for key, value in TINY.items())]
    log = with_context(small_log())
    found = {
        recipe: trained(log, recipe, tmp_path, seed=0, preset="small", changes=changes) for recipe in ("count", "pg")
    }
    assert found["count"].context is None
    assert found["pg"].context is not None


def test_a_training_that_was_killed_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = with_context(small_log())
    asked = {**BOTH, "id_dropout": 0.3, "checkpoint_minutes": 0}
    arguments: dict[str, Any] = {"items": TABLE, "recipe": "irecgan", "settings": asked}
    irecgan.train(log, out=tmp_path / "whole", **arguments)
    for saves in (2, 9, 30):
        out = tmp_path / f"killed{saves}"
        with interrupted_after(saves, monkeypatch):
            irecgan.train(log, out=out, **arguments)
        irecgan.train(log, out=out, resume=True, **arguments)
        assert_same(tmp_path / "whole", out)


def test_resume_refuses_other_columns(tmp_path: Path) -> None:
    log = with_context(small_log())
    irecgan.train(log, items=TABLE, recipe="lstm", out=tmp_path / "run", settings=BOTH)
    other = TABLE.with_columns(price=pl.col("price").reverse())
    for items, settings, named in ((other, BOTH, "log="), (TABLE, {**BOTH, "item_features": "kind"}, "item_features")):
        with pytest.raises(UserError, match=named):
            irecgan.train(log, items=items, recipe="lstm", out=tmp_path / "run", settings=settings, resume=True)


def test_a_log_read_part_by_part_is_coded_alike(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    with_context(small_log()).write(path)
    assert isinstance(read_or_scan(path, 5, ["hour"]), ScannedLog)
    codes = []
    for name, most in (("memory", 10**6), ("stored", 5)):
        asked = {**TINY, "context_features": "device,hour", "item_features": "price", "in_memory_steps": most}
        policy = irecgan.train(path, items=TABLE, recipe="irecgan", out=tmp_path / name, settings=asked)
        assert policy.context is not None
        codes.append(policy.context.columns)
    device, hour = zip(*codes, strict=True)
    assert device[0] == device[1]
    assert (hour[0].mean, hour[0].scale) == pytest.approx((hour[1].mean, hour[1].scale))


def test_stored_sessions_keep_their_context(tmp_path: Path) -> None:
    log = with_context(small_log(50))
    code = fit(log.parts, parse_wanted("device,hour", "context_features"), "log", besides=(), own_missing=True)
    sessions = encode(log, Catalogue.from_log(log), context=code)
    kept = stored([sessions.select(rows) for rows in torch.arange(50).split(7)], tmp_path, block=4)
    one, other = (found.batch(torch.tensor([7, 3, 49])).context for found in (sessions, kept))
    assert one is not None
    assert other is not None
    assert torch.equal(one.feature, other.feature)
    assert torch.equal(one.weight, other.weight)


def test_an_end_that_was_not_logged_has_the_context_of_the_last_step() -> None:
    log = devices_decide(3)
    code = fit(log.parts, None, "log", besides=COLUMNS, own_missing=True)
    sessions = encode(log, Catalogue.from_log(log), context=code)
    assert sessions.context is not None
    feature = sessions.context.feature.tolist()
    assert sessions.position.tolist() == [0, -1, 1, -1, 1, -1]
    assert feature[::2] == feature[1::2]


def test_items_beside_the_log_are_found(tmp_path: Path) -> None:
    with_context(small_log()).write(tmp_path / "log.parquet")
    TABLE.write_parquet(tmp_path / "items.parquet")
    policy = irecgan.train(tmp_path / "log.parquet", recipe="pg", out=tmp_path / "run", settings=BOTH)
    assert len(policy.catalogue) == 10
    assert set(weights(tmp_path / "run")["agent"]) >= {
        "encoder.content.features.weight",
        "encoder.context.weight",
        "content_query.weight",
    }
    rates: list[dict[str, Any]] = [{"agent_learning_rate": rate} for rate in (1e-3, 1e-2)]
    best = train_best(tmp_path / "log.parquet", out=tmp_path / "best", recipe="pg", candidates=rates, settings=BOTH)
    assert len(best.catalogue) == 10


def test_without_columns_no_file_tells_of_any(tmp_path: Path) -> None:
    irecgan.train(with_context(small_log()), items=TABLE, recipe="pg", out=tmp_path / "run", settings=TINY)
    irecgan.train(small_log(), recipe="pg", out=tmp_path / "other", settings=TINY)
    assert_same(tmp_path / "run", tmp_path / "other")
    assert not list((tmp_path / "run").glob("features*"))


def changed(**columns: list[Any]) -> pl.DataFrame:
    return TABLE.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


KIND = {"item_features": "kind"}
NUMBER = {"item_features": "kind:number"}


@pytest.mark.parametrize(
    ("items", "settings", "message"),
    [
        (None, ALL, r"setting item_features: found no items beside log; expected a file of items"),
        (TABLE, {"item_features": "colour"}, r"items: missing column colour; found columns item_id, kind, price"),
        (TABLE.drop("item_id"), ALL, "items: missing column item_id"),
        (TABLE.select("item_id"), ALL, "items: found no column but item_id"),
        (pl.concat([TABLE, TABLE[:1]]), ALL, "row 11: column item_id: found 0; expected one row an item"),
        (changed(price=[float("nan")] * 10), KIND, "items: row 1: column price: found nan"),
        (changed(price=[3.0] * 10), {"item_features": "price"}, "items: column price: tells nothing"),
        (changed(kind=["x1", *"2345678", "x9", "0"]), NUMBER, "item 0: column kind: found 'x1'; expected a number"),
        (changed(item_id=[*map(str, range(9)), "x"]), KIND, "column item_id: found 'x'; expected an integer"),
        (changed(item_id=[0.5] * 10), KIND, "column item_id: found type Float64"),
        (TABLE, {"context_features": "colour"}, "log: missing column colour"),
        (TABLE, {"context_features": "click"}, "column click: is no feature; it has a meaning of its own"),
        (TABLE, {"id_dropout": 1.0}, "setting id_dropout"),
    ],
)
def test_wrong_columns_are_named_and_leave_nothing(
    items: pl.DataFrame | None, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        irecgan.train(small_log(), items=items, recipe="lstm", out=tmp_path / "run", settings={**TINY, **settings})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mine"
    irecgan.train(with_context(small_log()), items=TABLE, recipe="pg", out=out, settings=BOTH)
    return out


def test_a_run_refuses_a_log_without_its_columns(run: Path) -> None:
    with pytest.raises(UserError, match="log: missing column device, hour"):
        irecgan.evaluate(run, log=small_log(), min_candidates=2)
    strange = with_context(small_log()).frame.with_columns(hour=pl.lit("noon"))
    with pytest.raises(UserError, match="row 1: column hour: found 'noon'; expected a finite number or nothing"):
        irecgan.evaluate(run, log=SessionLog.from_frame(strange), min_candidates=2)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda policy: policy.recommend(context={"colour": "red"}), "context: found 'colour'; expected one of device"),
        (lambda policy: policy.rerank([], [1, 2], {"hour": "noon"}), "context: row 1: column hour: found 'noon'"),
    ],
)
def test_a_wrong_context_is_named(ask: Callable[[TrainedPolicy], object], message: str, run: Path) -> None:
    with pytest.raises(UserError, match=message):
        ask(load_policy(run))


def test_files_of_columns_that_do_not_fit_are_refused(run: Path, tmp_path: Path) -> None:
    good = {name: (run / name).read_bytes() for name in ("features.json", "features.parquet")}
    table = pl.read_parquet(run / "features.parquet")
    try:
        table.reverse().write_parquet(run / "features.parquet")
        reseal(run, "features.parquet")
        with pytest.raises(UserError, match=r"features\.parquet: not the 10 items of this run"):
            load_policy(run)
        (run / "features.json").write_text('{"items": null}')
        reseal(run, "features.json")
        with pytest.raises(UserError, match=r"features\.json: not the columns of a run"):
            load_policy(run)
    finally:
        for name, content in good.items():
            (run / name).write_bytes(content)
            reseal(run, name)
    load_policy(run)


def reseal(run: Path, name: str) -> None:
    """Have run.json expect the contents that ``name`` has now."""
    fields = json.loads((run / "run.json").read_text())
    fields["files"][name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
    (run / "run.json").write_text(json.dumps(fields))
