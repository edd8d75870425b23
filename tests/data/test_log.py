import contextlib
import gzip
import os
from datetime import date
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irecgan.data.log import Ends, SessionLog
from irecgan.data.memory import size_in_memory
from irecgan.errors import UserError

ROWS = {
    "session_id": ["b", "b", "a", "a"],
    "step": [1, 0, 0, 1],
    "slate": [[1, 2], [3, 4], [1, 2, 3], [4]],
    "click": [None, 3, 2, None],
    "reward": [0.0, 1.0, 0.0, 0.0],
}


def frame(**changes: object) -> pl.DataFrame:
    return pl.DataFrame(ROWS | changes, strict=False)


def test_sessions_stay_in_order_of_appearance_and_steps_are_sorted() -> None:
    log = SessionLog.from_frame(frame())
    assert log.frame["session_id"].to_list() == ["b", "b", "a", "a"]
    assert log.frame["click"].to_list() == [3, None, 2, None]
    assert (log.sessions, log.steps, log.ends_unclicked) == (2, 4, True)


@pytest.mark.parametrize("items", [pl.Int64, pl.String])
def test_blank_text_is_nothing(items: type[pl.DataType]) -> None:
    blank = frame(click=["", "3", "2", " "], last_touched=["1", "", "2", "4"], user_id=["u", "u", "", ""])
    log = SessionLog.from_frame(blank.with_columns(pl.col("slate").cast(pl.List(items))))
    assert log.frame["click"].cast(pl.Int64).to_list() == [3, None, 2, None]
    assert log.frame["last_touched"].null_count() == 1
    assert log.frame["user_id"].to_list() == ["u", "u", None, None]
    assert log.ends_unclicked


@pytest.mark.parametrize("kind", [pl.String, pl.UInt64, pl.Int64])
def test_large_steps_stay_apart(kind: type[pl.DataType]) -> None:
    first = 1_700_000_000_000_000_001
    steps = pl.Series("step", [first + 1, first, first, first + 1]).cast(kind)
    log = SessionLog.from_frame(frame().with_columns(steps))
    assert log.frame["step"].to_list() == [first, first + 1] * 2


def test_items_touched_last_may_have_gaps() -> None:
    log = SessionLog.from_frame(frame(last_touched=[2.0, None, 1.5, 3.0]))
    assert log.frame["last_touched"].to_list() == [None, 2, None, 3]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_every_format_gives_the_log_back(tmp_path: Path, suffix: str) -> None:
    log = SessionLog.from_frame(frame(), "x")
    log.write(tmp_path / f"log{suffix}")
    back = SessionLog.read(tmp_path / f"log{suffix}")
    assert back.frame.equals(log.frame)


def test_ids_with_spaces_are_not_written_to_csv(tmp_path: Path) -> None:
    slates = [["a", "b"], ["c", "d e"], ["a", "b"], ["c"]]
    log = SessionLog.from_frame(
        frame(slate=slates, click=[None, "d e", "b", None], session_id=[1] * 4, step=[*range(4)])
    )
    with pytest.raises(UserError, match=r"x\.csv: row 2: column slate: found 'd e'; expected no space in a list"):
        log.write(tmp_path / "new" / "x.csv")
    assert not any(tmp_path.iterdir())
    for name in ("x.jsonl", "x.parquet"):
        log.write(tmp_path / name)
        assert SessionLog.read(tmp_path / name).frame.equals(log.frame)


def test_columns_of_lists_are_written_to_csv_where_it_can_hold_them(tmp_path: Path) -> None:
    log = SessionLog.from_frame(frame().with_columns(vector=pl.lit([0.5, 1.0])))
    log.write(tmp_path / "x.csv")
    assert SessionLog.read(tmp_path / "x.csv").frame["vector"][0] == "0.5 1.0"
    nested = SessionLog.from_frame(frame().with_columns(pairs=pl.lit([[1], [2]])))
    with pytest.raises(UserError, match=r"y\.csv: column pairs: found List\(List\(.*\)\); expected no more than plain"):
        nested.write(tmp_path / "y.csv")
    assert not (tmp_path / "y.csv").exists()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_files_are_read(tmp_path: Path, compression: Literal["gzip", "zstd"]) -> None:
    suffix = {"gzip": "gz", "zstd": "zst"}[compression]
    log = SessionLog.from_frame(frame())
    joined = log.frame.with_columns(pl.col("slate").cast(pl.List(pl.String)).list.join(" "))
    joined.write_csv(tmp_path / f"log.csv.{suffix}", compression=compression)
    log.frame.write_ndjson(tmp_path / f"log.jsonl.{suffix}", compression=compression)
    for name in ("csv", "jsonl"):
        assert SessionLog.read(tmp_path / f"log.{name}.{suffix}").frame.equals(log.frame)


def test_a_directory_of_parquet_files_is_one_log(tmp_path: Path) -> None:
    log = SessionLog.from_frame(frame())
    log.frame[:2].write_parquet(tmp_path / "1.parquet")
    log.frame[2:].write_parquet(tmp_path / "2.parquet")
    assert SessionLog.read(tmp_path).frame.equals(log.frame)


def test_ids_of_a_file_with_gaps_are_those_of_the_others(tmp_path: Path) -> None:
    log = SessionLog.from_frame(frame())
    gaps = log.frame[:2].with_columns(click=pl.Series([3.0, float("nan")]))
    gaps.write_parquet(tmp_path / "1.parquet")
    log.frame[2:].write_parquet(tmp_path / "2.parquet")
    assert SessionLog.read(tmp_path).frame.equals(log.frame)


def test_files_of_a_directory_may_differ_in_what_they_need_not_have(tmp_path: Path) -> None:
    log = SessionLog.from_frame(frame(reward=[0, 0, 1, 0]))
    first, second = log.frame[:2].drop("reward"), log.frame[2:].select(reversed(log.frame.columns))
    first.write_parquet(tmp_path / "1.parquet")
    second.with_columns(pl.col("click").cast(pl.Int32)).write_parquet(tmp_path / "2.parquet")
    assert SessionLog.read(tmp_path).frame.select(log.frame.columns).equals(log.frame)


def test_blank_lines_at_the_end_of_a_csv_file_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("session_id,step,slate,click\na,0,x y, y\na,1,x y,\n\n\n")
    assert SessionLog.read(tmp_path / "x.csv").frame["click"].to_list() == ["y", None]


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_pipes_are_refused(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name}: is neither a file nor a directory"):
        SessionLog.read(tmp_path / name)


def test_names_that_are_kept_are_refused() -> None:
    with pytest.raises(UserError, match=r"column irecgan\.row: is a name that irecgan keeps for itself"):
        SessionLog.from_frame(frame().with_columns(pl.lit(1).alias("irecgan.row")))


def test_a_directory_may_hold_compressed_files_beside_others(tmp_path: Path) -> None:
    log = SessionLog.from_frame(frame())
    for name, rows in (("1", log.frame[:2]), ("2", log.frame[2:])):
        SessionLog(rows).write(tmp_path / f"{name}.jsonl")
    (tmp_path / "2.jsonl.gz").write_bytes(gzip.compress((tmp_path / "2.jsonl").read_bytes()))
    (tmp_path / "2.jsonl").unlink()
    expected = size_in_memory(tmp_path)
    for name in ("_SUCCESS", "notes.txt", "log.parquet.gz", ".3.jsonl"):
        (tmp_path / name).write_bytes(b"none of it")
    assert SessionLog.read(tmp_path).frame.equals(log.frame)
    assert size_in_memory(tmp_path) == expected > 0


def test_ids_keep_their_writing() -> None:
    log = SessionLog.from_frame(
        frame(slate=[["007", "2"], ["3", "4"], ["1", "2"], ["4"]], click=[None, "3", "2", None])
    )
    assert log.frame["slate"][1].to_list() == ["007", "2"]


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "click outside": (
        {"click": [None, 9, 2, None]},
        "row 2: column click: found 9; expected an item of the slate",
    ),
    "duplicate step": (
        {"step": [0, 0, 0, 1]},
        "row 2: column step: found 0; expected each step of a session once",
    ),
    "negative step": ({"step": [1, -1, 0, 1]}, "row 2: column step: found -1; expected an integer from 0"),
    "fractional step": (
        {"step": [1, 0.5, 0, 1]},
        "row 2: column step: found 0.5; expected an integer from 0",
    ),
    "text step": (
        {"step": ["1", "x", "0", "1"]},
        "row 2: column step: found 'x'; expected an integer from 0",
    ),
    "nan reward": ({"reward": [0.0, float("nan"), 0.0, 0.0]}, "row 2: column reward: found nan"),
    "infinite reward": ({"reward": [0.0, float("inf"), 0.0, 0.0]}, "row 2: column reward: found inf"),
    "huge reward": ({"reward": [0.0, 1e30, 0.0, 0.0]}, "row 2: column reward: found 1e[+]30; expected a number within"),
    "date as reward": ({"reward": [date(2026, 1, 1)] * 4}, "column reward: found type Date; expected a number"),
    "bytes as reward": ({"reward": [b"1"] * 4}, "column reward: found type Binary; expected a number"),
    "bytes as step": ({"step": [b"1"] * 4}, "column step: found type Binary; expected an integer from 0"),
    "text reward": (
        {"reward": ["0", "1", "many", "0"]},
        "row 3: column reward: found 'many'; expected a number",
    ),
    "reward without click": (
        {"reward": [1.0, 1.0, 0.0, 0.0]},
        "row 1: column reward: found 1.0; expected 0 where",
    ),
    "empty slate": (
        {"slate": [[1], [], [2], [4]]},
        "row 2: column slate: found []; expected at least one item",
    ),
    "repeat": (
        {"slate": [[1, 1], [3], [2], [4]]},
        r"row 1: column slate: found \[1, 1\]; expected no item twice",
    ),
    "null item": ({"slate": [[1, None], [3], [2], [4]]}, "row 1: column slate: .* expected no empty item id"),
    "blank item": (
        {"slate": [["1", ""], ["3"], ["2"], ["4"]], "click": None},
        "row 1: column slate: .* expected no empty item id",
    ),
    "blank session": ({"session_id": ["b", "b", " ", "a"]}, "row 3: column session_id: found ' '"),
    "lists as clicks": (
        {"click": [None, [3], [2], None]},
        "column click: found type List.Int64.; expected integers or",
    ),
    "bytes as clicks": ({"click": [None, b"\xff", None, None]}, "column click: found type Binary"),
    "truth as clicks": ({"click": [None, True, None, None]}, "column click: found type Boolean"),
    "lists as users": ({"user_id": [[1], [2], [3], [4]]}, "column user_id: found type List"),
    "lists of lists": ({"slate": [[[1]], [[2]], [[3]], [[4]]]}, "column slate: found type List"),
    "fractional session": (
        {"session_id": [1.0, 1.0, 2.5, 2.5]},
        "row 3: column session_id: found 2.5; expected integers",
    ),
    "fractional item": (
        {"slate": [[1.0], [3.0], [2.0], [4.5]]},
        "row 4: column slate: found 4.5; expected integers or",
    ),
    "no session": ({"session_id": ["b", None, "a", "a"]}, "row 2: column session_id: found nothing"),
    "propensity": (
        {"propensity": [0.1, 1.5, 1.0, None]},
        "row 2: column propensity: found 1.5; expected a number in",
    ),
    "slate type": ({"slate": [1, 2, 3, 4]}, "column slate: found type Int64; expected a list of item ids"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_breach_names_row_and_column(case: str) -> None:
    changes, message = BROKEN[case]
    with pytest.raises(UserError, match=message.replace("[]", r"\[\]").replace("(", r"\(")) as caught:
        SessionLog.from_frame(frame(**changes), "f.csv")
    assert str(caught.value).startswith("f.csv: ")
    assert "\n" not in str(caught.value)


def test_whole_floats_are_integers() -> None:
    floats = frame(
        slate=[[1.0, 2.0], [3.0, 4.0], [1.0, 2.0, 3.0], [4.0]],
        click=[None, 3.0, 2.0, float("nan")],
        session_id=[2.0, 2.0, 1.0, 1.0],
    )
    log = SessionLog.from_frame(floats)
    assert log.frame["click"].to_list() == [3, None, 2, None]
    assert log.frame["slate"][0].to_list() == [3, 4]
    assert log.frame["session_id"].to_list() == [2, 2, 1, 1]


def test_text_of_whole_floats_is_integers_where_the_slates_are(tmp_path: Path) -> None:
    gaps = "session_id,step,slate,click,last_touched\n1,0,1 2,2.0,\n1,1,3 4,4,2.0\n1,2,1 2,,4\n1,3,1 2,,Pool\n"
    (tmp_path / "a.csv").write_text(gaps)
    log = SessionLog.read(tmp_path / "a.csv")
    assert log.frame.schema["click"] == log.frame.schema["last_touched"] == pl.Int64
    assert log.frame["click"].to_list() == [2, 4, None, None]
    assert log.frame["last_touched"].to_list() == [None, 2, 4, None]


@pytest.mark.parametrize(
    ("slate", "click"), [(["1.0", "2"], "1.0"), (["a", "2.0"], "2.0"), (["1.5", "2"], "1.5"), (["07", "2"], "07")]
)
def test_other_text_stays_as_it_is_written(slate: list[str], click: str) -> None:
    log = SessionLog.from_frame(frame(slate=[slate] * 4, click=[click, slate[1], None, None]))
    assert log.frame["click"].to_list() == [slate[1], click, None, None]


def test_arrays_are_slates() -> None:
    arrays = frame(slate=[[1, 2], [3, 4], [2, 3], [4, 5]]).with_columns(pl.col("slate").cast(pl.Array(pl.Int64, 2)))
    assert SessionLog.from_frame(arrays).frame["slate"].dtype == pl.List(pl.Int64)


def test_columns_of_any_name_are_carried_along() -> None:
    others = {"row": [1] * 4, "row_": [2] * 4, "position": [3] * 4, "session": [4] * 4}
    assert set(SessionLog.from_frame(frame(**others)).frame.columns) == {*ROWS, *others}


HEAD = "session_id,step,slate,click,reward\n"
JSON = '{"session_id": 1, "step": 0, "slate": [1, 2], "click": 1, "reward": 1.0}\n'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", HEAD + "1,0,1 2,1,0\n1,1,1 2\n", "row 2: found 3 fields; expected 5, as in the header"),
        ("a.csv", HEAD + "1,0,1 2,1,0\n\n1,1,1 2,1,0,7\n", "row 2: found 6 fields; expected 5, as in the header"),
        (
            "a.csv",
            HEAD + '1,0,1 2,1,0\n1,1,"1, 2",2,0\n',
            "row 2: column slate: found '1, 2'; expected ids with only spaces",
        ),
        ("a.csv", HEAD + "1,0,[1 2 3],2,0\n", r"row 1: column slate: found '\[1 2 3\]'; expected ids with only spaces"),
        (
            "a.csv",
            HEAD + "1,0,1|2,1,0\n",
            r"row 1: column click: found '1'; expected an item of .* is \['1\|2'\]",
        ),
        ("a.csv", HEAD + "1,0,1 2,None,0\n", r"column click: found 'None'; expected an item of .* is \['1', '2'\]"),
        ("a.csv", "session_id,step,slate,click,click\n1,0,1 2,1,1\n", "column click: found twice in the header"),
        ("a.jsonl", JSON + JSON[:40], "row 2: .* cannot be read as JSON lines"),
        ("a.jsonl", JSON + "\n" + JSON.replace("1.0", "NaN"), "row 2: found NaN; expected a finite number: cannot be"),
        ("a.jsonl", JSON.replace("1.0", "1e999"), "row 1: found 1e999; expected a finite number: cannot be"),
        ("a.jsonl", JSON + JSON.replace("[1, 2]", "[1, 2.5]"), "row 2: column slate: found 2.5; expected integers"),
    ],
)
def test_a_broken_line_is_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        SessionLog.read(tmp_path / name)


def test_a_slate_may_have_several_spaces_between_ids(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEAD + "1,0, 1  2   3 ,2,0\n1,1,4 5,,0\n")
    assert SessionLog.read(tmp_path / "a.csv").frame["slate"].to_list() == [[1, 2, 3], [4, 5]]


def test_a_broken_line_of_a_compressed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress((JSON + JSON[:40]).encode()))
    with pytest.raises(UserError, match=r"row 2: .* cannot be read as JSON lines"):
        SessionLog.read(path)


def test_ids_in_brackets_are_ids(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEAD + '1,0,[a] [b],[b],0\n1,1,[c],,0\n1,2,"a,b c",c,0\n')
    assert SessionLog.read(tmp_path / "a.csv").frame["slate"].to_list() == [["[a]", "[b]"], ["[c]"], ["a,b", "c"]]


@pytest.mark.parametrize("text", ['1,0,"a b",a,0\n1,1,"a b",b,0\n', '1,0,"a\nb c",c,0\n1,1,x c,c,0\n'])
def test_quoted_fields_are_no_broken_lines(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEAD + text)
    assert SessionLog.read(tmp_path / "a.csv").steps == 2


def test_a_row_is_counted_in_its_own_file(tmp_path: Path) -> None:
    SessionLog.from_frame(frame()).write(tmp_path / "1.parquet")
    frame(session_id=["c"] * 4, step=[0, 1, 2, -1]).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(UserError, match=r"2\.parquet: row 4: column step: found -1"):
        SessionLog.read(tmp_path)


def test_columns_that_the_user_does_not_know_are_not_told(tmp_path: Path) -> None:
    frame().drop("step").write_parquet(tmp_path / "1.parquet")
    with pytest.raises(UserError, match=r"missing column step .* found columns session_id, slate, click, reward$"):
        SessionLog.read(tmp_path)


@pytest.mark.parametrize("column", ["session_id", "slate", "click", "step"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(UserError, match=f"missing column {column}"):
        SessionLog.from_frame(frame().drop(column))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=200), st.sampled_from([".parquet", ".csv", ".jsonl", ".csv.gz", ".jsonl.zst"]))
def test_garbage_is_one_line(tmp_path: Path, garbage: bytes, suffix: str) -> None:
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(garbage)
    with pytest.raises(UserError) as caught:
        SessionLog.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_a_truncated_file_is_refused_or_is_a_shorter_log(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".parquet", ".csv", ".jsonl"]))
    path = tmp_path / f"log{suffix}"
    SessionLog.from_frame(frame()).write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with contextlib.suppress(UserError):
        assert SessionLog.read(path).steps <= 4


def timed(timestamps: list[object]) -> pl.DataFrame:
    steps = len(timestamps)
    return pl.DataFrame(
        {
            "session_id": [1] * steps,
            "timestamp": timestamps,
            "slate": [[i, 9] for i in range(steps)],
            "click": [9] * steps,
        },
        strict=False,
    )


@pytest.mark.parametrize(
    "timestamps",
    [
        [30, 10, 20],
        [3.5, 1.5, 2.5],
        ["30", "9", "20"],
        ["1600000000000000002", "1600000000000000000", "1600000000000000001"],
        ["2026-01-03", "2026-01-01", "2026-01-02"],
        ["2026-01-01T12:00:02", "2026-01-01T11:59:59", "2026-01-01T12:00:01"],
    ],
)
def test_timestamps_order_the_steps(timestamps: list[object]) -> None:
    log = SessionLog.from_frame(timed(timestamps))
    assert [slate[0] for slate in log.frame["slate"].to_list()] == [1, 2, 0]


def test_dates_and_times_as_they_are() -> None:
    frame = timed(["2026-01-02", "2026-01-01"]).with_columns(pl.col("timestamp").str.to_date())
    assert SessionLog.from_frame(frame).frame["slate"].to_list() == [[1, 9], [0, 9]]


@pytest.mark.parametrize(
    ("timestamps", "message"),
    [
        (["2026-01-01", "tomorrow"], "row 2: column timestamp: found 'tomorrow'"),
        ([1, None], "row 2: column timestamp"),
        ([True, False], "column timestamp: found type Boolean"),
        (["yesterday", "tomorrow"], "row 1: column timestamp: found 'yesterday'"),
        ([1.0, float("nan")], "row 2: column timestamp: found nan"),
        (["1", "inf"], "row 2: column timestamp: found 'inf'"),
        (["03/04/2024", "03/05/2024"], "row 1: column timestamp: found '03/04/2024'; expected .* ISO date such as"),
        (["2024-03-04", "04-03-2024"], "row 2: column timestamp: found '04-03-2024'; expected .* ISO date such as"),
    ],
)
def test_a_time_that_is_none_is_named(timestamps: list[object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SessionLog.from_frame(timed(timestamps))


@pytest.mark.parametrize(
    ("ends", "tell"),
    [
        (Ends(100, 100, 7, 0), True),
        (Ends(100, 90, 7, 0), True),  # a tenth was cut off
        (Ends(100, 80, 7, 0), False),
        (Ends(100, 80, 7, 15), True),  # by a limit of their length
        (Ends(100, 0, 7, 100), False),  # nobody is known to have left
        (Ends(100, 50, 7, 0), False),
    ],
)
def test_when_a_log_tells_how_sessions_end(ends: Ends, tell: bool) -> None:
    assert ends.tell == tell


def test_ends_of_parts_are_those_of_the_whole() -> None:
    frame = pl.DataFrame(
        {
            "session_id": [1, 1, 2, 3, 3, 3, 4, 5, 5, 5],
            "step": [0, 1, 0, 0, 1, 2, 0, 0, 1, 2],
            "slate": [["a", "b"]] * 10,
            "click": ["a", None, "b", "a", "a", "b", None, "a", "b", "a"],
        }
    )
    parts = [SessionLog.from_frame(part).ends for part in (frame[:3], frame[3:7], frame[7:])]
    whole = SessionLog.from_frame(frame).ends
    assert whole == Ends(sessions=5, unclicked=2, longest=3, at_limit=2)
    assert parts[0].and_of(parts[1]).and_of(parts[2]) == whole == parts[2].and_of(parts[0]).and_of(parts[1])
