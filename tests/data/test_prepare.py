import json
from pathlib import Path

import polars as pl
import pytest

from irecgan.data.filters import SessionLength
from irecgan.data.inspection import inspect_log
from irecgan.data.location import find_prepared
from irecgan.data.log import SessionLog
from irecgan.data.prepare import prepare
from irecgan.errors import UserError
from shared_logs import SHARED, shared_data


def csv(path: Path, sessions: int = 20) -> Path:
    rows = [
        f"{s},{t},{t + 10 * s},1 2 3 2,{'' if t == 2 else 9 if s == 4 else 1 + t},blue"
        for s in range(sessions)
        for t in range(3)
    ]
    path.write_text("session_id,step,timestamp,slate,click,colour\n" + "\n".join(rows) + "\n")
    return path


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare("log", [csv(tmp_path / "x.csv")], out, split="time", filters=[SessionLength(1)])
    assert {path.name for path in out.iterdir()} == {
        "train.parquet", "validation.parquet", "test.parquet", "items.parquet", "prepare.json",
    }  # fmt: skip
    report = json.loads((out / "prepare.json").read_text())
    assert report["rows"] == {"read": 60, "steps": 60, "left_out": {}}
    dropped = {record["filter"]: record["dropped"] for record in report["filters"]}
    assert dropped["repeats-in-slate"]["shown"] == 60
    assert dropped["click-outside-slate"]["steps"] == 2
    assert dropped["session-length"]["steps"] == 1  # what is left of session 4 has no click
    assert sum(part["steps"] for part in report["parts"].values()) == 57
    for name, part in report["parts"].items():
        log = SessionLog.read(out / f"{name}.parquet")
        assert (log.sessions, log.steps) == (part["sessions"], part["steps"])
        assert log.frame["colour"].unique().to_list() == ["blue"]


def test_a_prepared_directory_is_known_by_its_report(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare("log", [csv(tmp_path / "x.csv")], out)
    prepared = find_prepared(out)
    assert prepared is not None
    assert prepared.test == out / "test.parquet"
    assert find_prepared(tmp_path) is None
    (out / "test.parquet").unlink()
    with pytest.raises(UserError, match=r"test\.parquet: no such file"):
        find_prepared(out)


@pytest.mark.parametrize(
    ("source", "split", "rows", "message"),
    [
        ("nosuch", "random", None, "no such source; expected one of log, official"),
        ("log", "sideways", None, "--split sideways"),
        ("log", "user", None, "missing column user_id"),
        ("log", "random", "1,0,0,1 2,x,red\n", "no row is left|at least"),
        ("log", "random", "1,0,0,,1,red\n", "row 1: column slate"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_left(
    source: str, split: str, rows: str | None, message: str, tmp_path: Path
) -> None:
    path = csv(tmp_path / "x.csv")
    if rows is not None:
        path.write_text("session_id,step,timestamp,slate,click,colour\n" + rows)
    with pytest.raises(UserError, match=message):
        prepare(source, [path], tmp_path / "new" / "out", split=split)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,0,1 2,\n1,1,1|2,1\n", r"row 2: column click: found '1'; expected at least one click .* here .* \['1\|2'\]"),
        ('1,0,"1,2",2\n', r"row 1: column click: found '2'; expected at least one click .* here .* \['1,2'\]"),
        ("1,0,a b,A\n1,1,a b,B\n", "row 1: column click: found 'A'; expected at least one click"),
        ("1,0,1 2,2.0\n1,1,1 2,nan\n", "row 2: column click: found 'nan'; expected an empty cell, or null, where"),
        ("1,0,1 2,2\n1,1,1 2,None\n", "row 2: column click: found 'None'; expected an empty cell, or null, where"),
    ],
)
def test_clicks_that_are_all_dropped_or_words_for_nothing_are_named(rows: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("session_id,step,slate,click\n" + rows)
    with pytest.raises(UserError, match=rf"x\.csv: {message}"):
        prepare("log", [tmp_path / "x.csv"], tmp_path / "out")


def test_an_item_may_be_called_like_nothing(tmp_path: Path) -> None:
    rows = "".join(f"{session},0,null NA b,null\n" for session in range(20))
    (tmp_path / "x.csv").write_text("session_id,step,slate,click\n" + rows)
    assert prepare("log", [tmp_path / "x.csv"], tmp_path / "out").parts["train"].clicks == 16


def test_an_existing_directory_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    with pytest.raises(UserError, match="exists already"):
        prepare("log", [csv(tmp_path / "x.csv")], tmp_path / "out")


@pytest.mark.parametrize("name", [".", "{here}"])
def test_the_working_directory_is_refused_before_anything_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match=r"is the working directory.*; expected the name of a directory to make"):
        prepare("log", [tmp_path / "nowhere.csv"], Path(name.format(here=tmp_path / "here")))
    assert not list(Path().iterdir())


def test_an_inspection_by_hand() -> None:
    frame = pl.DataFrame(
        {
            "session_id": [1, 1, 1, 2],
            "step": [0, 1, 2, 0],
            "slate": [["a", "b"], ["b", "c"], ["a", "c", "d"], ["a", "b"]],
            "click": ["b", None, "a", "b"],
            "reward": [1.0, 0.0, 0.0, 0.0],
        }
    )
    found = inspect_log(SessionLog.from_frame(frame))
    assert (found.counts.sessions, found.counts.steps, found.counts.clicks, found.counts.items) == (2, 4, 3, 4)
    assert (found.clicked_items, found.click_share, found.reward_share) == (2, 3 / 4, 1 / 3)
    assert found.rank_share[:2] == pytest.approx([1 / 3, 2 / 3])
    assert found.top_items == [("b", 2), ("a", 1)]
    assert (found.session_clicks.mean, found.session_clicks.most, found.slate_size.most) == (1.5, 2, 3)
    told = " ".join(found.problems)
    assert "1 steps in mid-session" in told
    assert "2 of 4 items shown are never clicked" in told
    json.dumps(found.to_json(), allow_nan=False)


def test_an_inspection_names_every_broken_rule_and_what_prepare_mends(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("session_id,step,slate,click,reward\n1,0,1 2 2,1,0\n1,0,1 2,3,1\n2,0,1 2,,1\n2,-1,1 2,2,\n")
    with pytest.raises(UserError) as caught:
        SessionLog.read(path, every=True)
    mended = " (irecgan prepare mends this)"
    assert str(caught.value).removeprefix(f"{path}: ").split(f"; also {path}: ") == [
        "row 4: column step: found -1; expected an integer from 0",
        "row 2: column step: found 0; expected each step of a session once",
        f"row 1: column slate: found [1, 2, 2]; expected no item twice{mended}",
        f"row 2: column click: found 3; expected an item of the slate, or nothing; here the slate is [1, 2]{mended}",
        "row 3: column reward: found 1.0; expected 0 where nothing was clicked",
    ]
    path.write_text("session_id,step,slate,click\n1,0,a b,None\n1,1,a b,a\n")
    with pytest.raises(UserError, match=r"found 'None'; expected an empty cell, or null, where nothing was clicked$"):
        SessionLog.read(path, every=True)


def test_a_column_that_cannot_be_typed_hides_no_other_broken_rule(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"session_id": 1, "step": "first", "slate": ["a", "b"], "click": "c", "reward": "x", "propensity": 2}]
    rows.append({**rows[0], "user_id": [7], "last_touched": True})
    pl.DataFrame(rows, infer_schema_length=None, strict=False).write_ndjson(path)
    with pytest.raises(UserError) as caught:
        SessionLog.read(path, every=True)
    assert str(caught.value).removeprefix(f"{path}: ").split(f"; also {path}: ") == [
        "column user_id: found type List(Int64); expected integers or strings as ids",
        "column last_touched: found type Boolean; expected item ids",
        "row 1: column reward: found 'x'; expected a number",
        "row 1: column step: found 'first'; expected an integer from 0",
        "row 1: column click: found 'c'; expected at least one click of the log in its slate, whose ids are written "
        "alike (in CSV, spaces between them); here the slate is ['a', 'b']",
        "row 1: column propensity: found 2.0; expected a number in (0, 1]",
    ]
    log = pl.DataFrame({"session_id": [1.5], "step": [0], "slate": [7], "click": ["a"], "touched_between": [["a"]]})
    log.write_parquet(tmp_path / "y.parquet")
    with pytest.raises(UserError) as caught:
        SessionLog.read(tmp_path / "y.parquet", every=True)
    assert [part.split(": ", 1)[1] for part in str(caught.value).split("; also ")] == [
        "column slate: found type Int64; expected a list of item ids",
        "row 1: column session_id: found 1.5; expected integers or strings",
    ]


def test_nobody_is_no_user() -> None:
    frame = pl.DataFrame(
        {
            "session_id": [1, 2, 3],
            "step": [0] * 3,
            "slate": [["a", "b"]] * 3,
            "click": ["a"] * 3,
            "user_id": [7, None, 7],
        }
    )
    assert inspect_log(SessionLog.from_frame(frame)).users == 1


def test_a_log_without_clicks_can_be_inspected() -> None:
    frame = pl.DataFrame(
        {"session_id": [1], "step": [0], "slate": [["a"]], "click": pl.Series([None], dtype=pl.String)}
    )
    found = inspect_log(SessionLog.from_frame(frame))
    assert found.click_share == 0
    assert any("nothing to learn" in problem for problem in found.problems)


class TestSharedData:
    pytestmark = shared_data

    def test_trivago_rio_by_time(self, tmp_path: Path) -> None:
        path = SHARED / "trivago_rio" / "interaction_dataset.csv"
        report = prepare("trivago2019", [path], tmp_path / "out", split="time")
        assert report.rows == 12_109
        assert report.left_out["not a clickout"] == 2_987
        assert sum(record.before.steps - record.after.steps for record in report.records) == 8
        assert (report.parts["test"].sessions, report.parts["test"].steps) == (440, 921)

    def test_bigdatacup(self, tmp_path: Path) -> None:
        report = prepare("bigdatacup2021", [SHARED / "bigdatacup2021"], tmp_path / "out")
        assert report.rows == 10_000
        assert sum(part.sessions for part in report.parts.values()) == 10_000
        assert sum(part.clicks for part in report.parts.values()) == 53_562
