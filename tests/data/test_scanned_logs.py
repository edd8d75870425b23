"""Logs that are read part by part: they are the logs that they are read whole."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch

import irecgan
from irecgan.data import memory, scanned
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import Log, SessionLog
from irecgan.data.scanned import ScannedLog, read_or_scan
from irecgan.errors import UserError
from small_logs import TINY, prepared, small_log


def in_files(directory: Path, frame: pl.DataFrame, *begins: int) -> Path:
    """A directory of files of which the first begins with row 0 and the others with rows ``begins``."""
    directory.mkdir()
    for number, (begin, end) in enumerate(pairwise([0, *begins, len(frame)])):
        prepared(directory / f"part-{number}.parquet", frame[begin:end])
    return directory


def assert_same_log(log: Log, whole: SessionLog) -> None:
    for name in ("steps", "clicks", "skipped", "ends_unclicked"):
        assert getattr(log, name) == getattr(whole, name), name
    assert log.items.equals(whole.items)
    catalogue = Catalogue.from_log(log)
    one, other = encode(log, catalogue), encode(whole, catalogue)
    for name in ("step_start", "item_start", "item", "click", "position", "reward", "touched"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    if "touched_by_user" in whole.frame.columns:
        assert one.visits is not None
        assert other.visits is not None
        assert torch.equal(one.visits, other.visits)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("together", [20, 100])
def test_a_scanned_log_is_the_log(text: bool, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanned, "SLICE", together)
    frame = small_log().frame
    if text:  # items 0 to 3 are written like integers, so some parts may have no others
        as_text = pl.element().cast(pl.String).replace({str(i): f"i{i}" for i in range(4, 8)})
        click = pl.col("click").cast(pl.String).replace({str(i): f"i{i}" for i in range(4, 8)})
        frame = frame.with_columns(pl.col("slate").list.eval(as_text), click)
        user = pl.when(pl.col("session_id") % 7 == 0).then(pl.lit("x")).otherwise(pl.lit("1"))
        told = {"last_touched": pl.col("slate").list.first(), "touched_by_user": pl.col("slate").list.head(2)}
        frame = frame.with_columns(**told, user_id=user)
    path = prepared(tmp_path / "log.parquet", frame)
    log, whole = read_or_scan(path, 10), SessionLog.read(path)
    assert isinstance(log, ScannedLog)
    assert log.name == whole.name
    assert_same_log(log, whole)
    everything = read_or_scan(path, 10, None)
    assert isinstance(everything, ScannedLog)
    assert pl.concat(everything.parts()).select(whole.frame.columns).equals(whole.frame)


@pytest.mark.parametrize("begins", [(100,), (1, 2, 3), (101, 102, 150), ()])
@pytest.mark.parametrize("together", [20, 100])
def test_a_scanned_directory_is_the_log(
    begins: tuple[int, ...], together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions may go on from one file to the next."""
    monkeypatch.setattr(scanned, "SLICE", together)
    frame = small_log().frame
    path = in_files(tmp_path / "log", frame, *begins)
    log = read_or_scan(path, 10)
    assert isinstance(log, ScannedLog)
    assert log.name == str(path)
    assert_same_log(log, SessionLog(frame))


def test_a_training_learns_from_a_directory_what_it_learns_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 0.0)
    frame = small_log().frame
    logs = {"one": prepared(tmp_path / "log.parquet", frame), "many": in_files(tmp_path / "log", frame, 31, 99)}
    settings = {**TINY, "in_memory_steps": 0}
    for name, log in logs.items():
        irecgan.train(log, recipe="pg", out=tmp_path / name, settings=settings)
    one, many = ((tmp_path / name / "agent.safetensors").read_bytes() for name in logs)
    assert one == many


def test_a_directory_that_is_not_in_order_or_of_one_kind_is_read(tmp_path: Path) -> None:
    frame = small_log().frame
    out_of_order = in_files(tmp_path / "order", pl.concat([frame[9:], frame[:9]]), 50)
    mixed = in_files(tmp_path / "mixed", frame, 50)
    (mixed / "part-1.parquet").unlink()
    SessionLog(frame[50:]).write(mixed / "part-1.csv")
    log = read_or_scan(out_of_order, 10)
    assert isinstance(log, SessionLog)
    assert_same_log(log, SessionLog.read(out_of_order))
    together = read_or_scan(mixed, 10)
    assert isinstance(together, SessionLog)
    assert together.frame.equals(frame)


def test_what_is_wrong_in_a_directory_is_named_by_its_file(tmp_path: Path) -> None:
    frame = small_log().frame
    wrong = frame.with_columns(reward=pl.when(pl.int_range(pl.len()) == 70).then(float("inf")).otherwise("reward"))
    with pytest.raises(UserError, match=r"a/part-1.parquet: row 31: column reward: found inf"):
        read_or_scan(in_files(tmp_path / "a", wrong, 40), 10)
    with pytest.raises(UserError, match=r"b/part-1.parquet: has no rows"):
        read_or_scan(in_files(tmp_path / "b", frame, 40, 40), 10)
    narrow = in_files(tmp_path / "c", frame, 40)
    prepared(narrow / "part-1.parquet", frame[40:].drop("click"))
    with pytest.raises(UserError, match=r"c/part-1.parquet: missing column click, which other files of the directory"):
        read_or_scan(narrow, 10)


def test_only_logs_in_canonical_order_are_scanned(tmp_path: Path) -> None:
    frame = small_log().frame
    assert isinstance(read_or_scan(prepared(tmp_path / "a.parquet", frame.reverse()), 10), SessionLog)
    assert isinstance(read_or_scan(prepared(tmp_path / "b.parquet", pl.concat([frame[9:], frame[:9]])), 10), SessionLog)
    assert isinstance(read_or_scan(prepared(tmp_path / "c.parquet", frame), 10**6), SessionLog)
    SessionLog(frame).write(tmp_path / "d.csv")
    assert isinstance(read_or_scan(tmp_path / "d.csv", 10), SessionLog)


def test_a_breach_in_a_scanned_log_is_named(tmp_path: Path) -> None:
    frame = small_log().frame
    wrong = frame.with_columns(reward=pl.when(pl.int_range(pl.len()) == 70).then(float("inf")).otherwise("reward"))
    with pytest.raises(UserError, match=r"log.parquet: row 71: column reward: found inf"):
        read_or_scan(prepared(tmp_path / "log.parquet", wrong), 10)
