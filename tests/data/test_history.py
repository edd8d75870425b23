"""What users had touched before, against a plain loop, and from raw files to the features of lists."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irecgan.cli import main
from irecgan.data import scanned, slices
from irecgan.data.batch import NOTHING, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.history import touched_by_user, with_user_history
from irecgan.data.log import SessionLog
from irecgan.data.prepare import prepare
from irecgan.data.scanned import ScannedLog, read_or_scan
from irecgan.errors import UserError

ROWS = st.lists(st.tuples(st.sampled_from("uvw"), st.integers(0, 4), st.integers(0, 5), st.integers(0, 3)), max_size=12)


def frame_of(rows: list[tuple[str, int, int, int]]) -> pl.DataFrame:
    """Users, their sessions, times and clicks; every list shows the items 0 to 2, and item 3 is in none."""
    users = [user if user != "w" else None for user, *_ in rows]
    return pl.DataFrame(
        {
            "user_id": pl.Series(users, dtype=pl.String),
            "session_id": pl.Series([f"{user}{session}" for user, session, *_ in rows], dtype=pl.String),
            "timestamp": pl.Series([time for _, _, time, _ in rows], dtype=pl.Int64),
            "slate": pl.Series([[0, 1, 2]] * len(rows), dtype=pl.List(pl.Int64)),
            "click": pl.Series([item for *_, item in rows], dtype=pl.Int64),
        }
    )


@given(steps=ROWS.filter(len), touches=ROWS)
def test_touches_in_earlier_sessions_are_those_of_a_plain_loop(
    steps: list[tuple[str, int, int, int]], touches: list[tuple[str, int, int, int]]
) -> None:
    shown, told = frame_of(steps), frame_of(touches)
    for row, items in zip(shown.iter_rows(named=True), touched_by_user(shown, told), strict=True):
        expected = Counter(
            touch["click"]
            for touch in told.iter_rows(named=True)
            if touch["user_id"] is not None
            and touch["user_id"] == row["user_id"]
            and touch["session_id"] != row["session_id"]
            and touch["timestamp"] < row["timestamp"]
            and touch["click"] in row["slate"]
        )
        assert Counter([] if items is None else items) == expected


def test_slices_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = frame_of([("uv"[i % 2], i // 3, i, i % 4) for i in range(30)])
    whole = with_user_history(rows, "log")["touched_by_user"]
    assert whole.list.len().sum() > 20
    monkeypatch.setattr(slices, "SLICE", 7)
    assert with_user_history(rows, "log")["touched_by_user"].equals(whole)


def test_histories_need_users_and_times() -> None:
    rows = frame_of([("u", 0, 0, 1), ("u", 1, 5, 1)])
    with pytest.raises(UserError, match="log: missing column user_id; it is needed to know the earlier sessions"):
        with_user_history(rows.drop("user_id"), "log")
    wrong = rows.with_columns(timestamp=pl.Series(["2024-01-01", "noon"]))
    with pytest.raises(
        UserError, match="session u1: column timestamp: found 'noon'; expected a number, or an ISO date"
    ):
        with_user_history(wrong, "log")


def visits(path: Path) -> Path:
    """Forty users come twice: the second time they click what they clicked the first time."""
    rows = [
        f"{user}-{visit},0,{10 * user + 1000 * visit},1 2 3 4 5,{1 + user % 5},{user}"
        for visit in (0, 1)
        for user in range(40)
    ]
    path.write_text("session_id,step,timestamp,slate,click,user_id\n" + "\n".join(rows) + "\n")
    return path


def test_what_users_clicked_in_earlier_sessions_is_prepared_learned_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out, run = str(visits(tmp_path / "x.csv")), tmp_path / "out", str(tmp_path / "run")
    assert main(["prepare", "log", source, "--user-history", "--split", "user", "--out", str(out)]) == 0
    test = pl.read_parquet(out / "test.parquet").sort(pl.col("timestamp").cast(pl.Int64))
    half = len(test) // 2
    assert test["touched_by_user"][:half].null_count() == half
    assert test["touched_by_user"][half:].list.first().to_list() == test["click"][half:].to_list()
    assert main(["train", str(out), "--recipe", "linear", "--set", "terms=touches", "--out", run]) == 0
    capsys.readouterr()
    assert main(["evaluate", run, "--log", str(out), "--json"]) == 0
    assert main(["inspect", run]) == 0
    printed = capsys.readouterr().out
    assert "an item touched once in the user's earlier sessions is" in printed
    assert "touched in the session, but not clicked," not in printed
    plain = tmp_path / "plain"
    assert main(["prepare", "log", source, "--out", str(plain)]) == 0
    assert "touched_by_user" not in pl.read_parquet(plain / "test.parquet").columns
    assert main(["train", str(plain), "--recipe", "linear", "--set", "terms=touches", "--out", run + "2"]) == 2
    assert "setting terms: found touches; the log has none of the columns" in capsys.readouterr().err
    assert main(["evaluate", run, "--log", str(plain)]) == 0
    untold = "test.parquet: has no column touched_by_user, which run run reads"
    assert untold in capsys.readouterr().err


def told(**columns: object) -> pl.DataFrame:
    frame = {"session_id": [1, 1], "step": [0, 1], "slate": [[1, 2, 3], [4, 2]], "click": [2, None]}
    return pl.DataFrame(frame).with_columns(**{name: pl.Series(values) for name, values in columns.items()})  # type: ignore[arg-type]


def encoded(frame: pl.DataFrame, items: list[int]) -> Sessions:
    return encode(SessionLog.from_frame(frame), Catalogue(pl.Series(items)))


def looks_of(sessions: Sessions) -> list[list[int]] | None:
    rows = sessions.looks
    return None if rows is None else [part.tolist() for part in rows.feature.split(rows.sizes.tolist())]


def test_visits_are_counted_for_every_item_shown_known_or_not() -> None:
    assert encoded(told(), [1, 2]).visits is None
    visits = encoded(told(touched_by_user=[[3, 3, 9], [2, 4, 2]]), [1, 2]).visits
    assert visits is not None
    assert visits.tolist() == [0, 0, 2, 1, 2]


def test_looks_are_the_known_items_touched_since_the_step_before() -> None:
    assert encoded(told(), [1, 2]).looks is None
    sessions = encoded(told(touched_between=[[2, 9, 2, 1], None]), [1, 2])
    assert looks_of(sessions) == [[1, 1, 0], []]
    batch = sessions.batch(torch.tensor([0]))
    assert batch.looks is not None
    assert (batch.looks.item.tolist(), batch.looks.step.tolist()) == ([[1, 1, 0]], [[0, 0, 0]])


def test_looks_before_steps_that_are_left_out_belong_to_the_next() -> None:
    frame = pl.DataFrame(
        {
            "session_id": [1, 1, 1, 1, 2],
            "step": [0, 1, 2, 3, 0],
            "slate": [[1, 2, 3]] * 5,
            "click": [None, None, 2, 1, 3],
            "touched_between": [[1], [2, 3], [3], [], [2]],
        }
    )
    sessions = encoded(frame, [1, 2, 3])
    assert looks_of(sessions) == [[0, 1, 2, 2], [], [], [1], []]  # blank ends are added, and nothing comes before them
    assert sessions.touched is not None
    assert sessions.touched.tolist() == [2, 1, NOTHING, 1, NOTHING]


def test_touches_may_be_written_in_other_ways() -> None:
    for found in ([["1", "Pool"], []], [[1.0, 1.5], None]):
        assert looks_of(encoded(told(touched_between=found), [1, 2])) == [[0], []]
    assert looks_of(encoded(told(touched_between=[None, None]), [1, 2])) == [[], []]
    with pytest.raises(UserError, match="column touched_between: found type Int64; expected a list of item ids"):
        encoded(told(touched_between=[1, 2]), [1, 2])
    with pytest.raises(UserError, match="column touched_by_user: found type Boolean; expected item ids"):
        encoded(told(touched_by_user=[[True], [False]]), [1, 2])


def test_histories_come_before_filters_and_steps_that_go_hand_on_what_was_touched(tmp_path: Path) -> None:
    clicks = [2, 1, 9, 3, 2, 1]
    looks: list[list[int] | None] = [[3], None, [1], [3], [], []]
    rows = {
        "session_id": ["a", "b", "b", "b", "c", "d"],
        "step": [0, 0, 1, 2, 0, 0],
        "timestamp": [1, 2, 3, 4, 5, 6],
        "user_id": [7, 7, 7, 7, 7, 8],
        "slate": [[1, 2, 3]] * 6,
        "click": clicks,
        "touched_between": looks,
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "x.parquet")
    prepare("log", [tmp_path / "x.parquet"], tmp_path / "out", user_history=True, shares=(2, 1, 1))
    parts = [pl.read_parquet(tmp_path / "out" / f"{part}.parquet") for part in ("train", "validation", "test")]
    found = pl.concat(parts).sort("timestamp")
    assert found["click"].to_list() == [2, 1, 3, 2, 1]  # 9 is in no slate
    between, by_user = ([items or [] for items in found[c].to_list()] for c in ("touched_between", "touched_by_user"))
    assert between == [[3], [], [1, 9, 3], [], []]
    assert by_user == [[], [2, 3], [2, 3], [1, 1, 2, 3, 3, 3], []]


def test_a_busy_user_takes_no_more_than_a_linear_part() -> None:
    rows = frame_of([("u", step // 2, step, step % 3) for step in range(3_000)])
    lists = with_user_history(rows, "log")["touched_by_user"]
    assert lists.list.len().max() == 60  # of each item as many as are told of
    assert lists.list.len()[30] == 30


def test_touches_of_which_none_is_an_item_are_named_and_blanks_are_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"row 2: column touched_between: found \['1,2'\]; expected item ids written like"
    ):
        encoded(told(touched_between=[[], ["1,2"]]), [1, 2])
    text = "session_id,step,slate,click,touched_between\n1,0,a b c,b,c\n1,1,a b c,,  \n"
    (tmp_path / "x.csv").write_text(text)
    sessions = encode(SessionLog.read(tmp_path / "x.csv"), Catalogue(pl.Series(["a", "b", "c"])))
    assert looks_of(sessions) == [[2], []]
    assert sessions.touched is not None
    assert sessions.touched.tolist() == [2, 1]


def test_text_ids_are_touched_in_parts_that_show_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanned, "SLICE", 2)
    rows = [("a", 0, ["x", "2"], "x", ["2"]), ("b", 0, ["1", "2"], "2", ["x"]), ("c", 0, ["1", "x"], None, ["x", "1"])]
    columns = ["session_id", "step", "slate", "click", "touched_between"]
    pl.DataFrame(rows, columns, orient="row").write_parquet(tmp_path / "x.parquet", row_group_size=1)
    log = read_or_scan(tmp_path / "x.parquet", 0)
    assert isinstance(log, ScannedLog)
    catalogue = Catalogue.from_log(log)
    assert looks_of(encode(log, catalogue)) == looks_of(encode(SessionLog.read(tmp_path / "x.parquet"), catalogue))


def test_a_history_that_is_told_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.read_csv(visits(tmp_path / "x.csv")).with_columns(pl.col("slate").str.split(" "))
    frame.with_columns(touched_by_user=pl.lit([3], dtype=pl.List(pl.Int64))).write_parquet(tmp_path / "x.parquet")
    prepare("log", [tmp_path / "x.parquet"], tmp_path / "out", user_history=True)
    assert pl.read_parquet(tmp_path / "out" / "test.parquet")["touched_by_user"].to_list() == [[3]] * 8
    said = ["prepare", "log", str(tmp_path / "x.parquet"), "--user-history", "--out", str(tmp_path / "other")]
    assert main(said) == 0
    assert "column touched_by_user is there already; it stays as it is" in capsys.readouterr().err
    frame.with_columns(touched_by_user=pl.lit(None)).write_parquet(tmp_path / "y.parquet")
    prepare("log", [tmp_path / "y.parquet"], tmp_path / "filled", user_history=True)
    assert pl.read_parquet(tmp_path / "filled" / "train.parquet")["touched_by_user"].count() > 20


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_touches_survive_every_format(suffix: str, tmp_path: Path) -> None:
    log = SessionLog.from_frame(told(touched_between=[[3, 3], None], touched_by_user=[None, [2, 4]]))
    log.write(tmp_path / f"x.{suffix}")
    read = SessionLog.read(tmp_path / f"x.{suffix}")
    one, other = (encode(each, Catalogue(pl.Series([1, 2, 3]))) for each in (log, read))
    assert looks_of(one) == looks_of(other) == [[2, 2], []]
    assert one.visits is not None
    assert other.visits is not None
    assert torch.equal(one.visits, other.visits)
