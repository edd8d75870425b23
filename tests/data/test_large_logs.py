"""Logs that are looked at slice by slice, or read part by part: the results are those of the whole."""

import json
import re
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import irecgan
from irecgan.cli import main
from irecgan.data import memory, scanned, slices
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.inspection import inspect_log
from irecgan.data.log import Log, SessionLog
from irecgan.data.parquet import row_groups
from irecgan.data.prepare import prepare
from irecgan.data.scanned import ScannedLog, read_or_scan
from irecgan.errors import UserError
from irecgan.training.journal import Journal
from small_logs import TINY, small_log

ODD = ["007", "7", "x", "-1", "1.0"]


def log_of(seed: int, *, text: bool, sessions: int = 30) -> pl.DataFrame:
    """Rows in random order, with clicks outside their slates, repeats, unclicked steps in the middle and purchases."""
    generator = np.random.default_rng(seed)
    ids = np.array([*ODD, *map(str, range(20, 30))]) if text else np.arange(1, 16)
    rows = []
    for session in range(sessions):
        for step in range(generator.integers(1, 6)):
            slate = generator.choice(ids, size=generator.integers(1, 6)).tolist()
            click = generator.choice([*slate, None, ids[0].item()])
            reward = 0.0 if click is None else float(generator.random() < 0.3)
            rows.append({"session_id": session * 7, "step": step, "slate": slate, "click": click, "reward": reward})
    kind = pl.String if text else pl.Int64
    frame = pl.DataFrame(rows, schema_overrides={"slate": pl.List(kind), "click": kind})
    return frame.select(pl.all().gather(generator.permutation(len(frame))))


def outcome(frame: pl.DataFrame, directory: Path, name: str) -> list[Any]:
    """Everything that preparing, inspecting and encoding give."""
    path, out = directory / f"{name}.parquet", directory / name
    frame.write_parquet(path)
    prepare("log", [path], out)
    path.rename(directory / "log.parquet")
    found: list[Any] = [json.loads((out / "prepare.json").read_text()) | {"files": None}]
    for part in ("train", "validation", "test", "items"):
        found.append(pl.read_parquet(out / f"{part}.parquet").to_dict(as_series=False))
    log = SessionLog.read(out / "train.parquet")
    found.append(inspect_log(SessionLog(log.frame)).to_json())
    sessions = encode(log, Catalogue.read(out / "items.parquet"))
    tensors = (x for x in vars(sessions).values() if isinstance(x, torch.Tensor))
    return [*found, *(x.nan_to_num(-1).tolist() for x in tensors)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), text=st.booleans(), rows=st.integers(7, 60))
def test_slices_change_nothing(
    seed: int, text: bool, rows: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, frame = tmp_path_factory.mktemp("logs"), log_of(seed, text=text)
    whole = outcome(frame, home, "whole")
    with monkeypatch.context() as patch:
        patch.setattr(slices, "SLICE", rows)
        assert outcome(frame, home, "sliced") == whole


@pytest.mark.parametrize("rows", [3, 50])
def test_a_breach_is_named_alike_in_whichever_slice(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE", rows)
    frame = small_log().frame
    wrong = frame.with_columns(step=pl.when(pl.int_range(pl.len()) == 17).then(-1).otherwise("step"))
    with pytest.raises(UserError, match="row 18: column step: found -1"):
        SessionLog.from_frame(wrong)
    twice = pl.concat([frame, frame[5:9]])
    with pytest.raises(UserError, match=f"row {len(frame) + 1}: column step: found .*each step of a session once"):
        SessionLog.from_frame(twice)


def prepared(path: Path, frame: pl.DataFrame, rows: int = 16) -> Path:
    frame.write_parquet(path, row_group_size=rows)
    return path


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


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("together", [20, 100])
def test_a_scanned_log_is_the_log(text: bool, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanned, "SLICE", together)
    frame = small_log().frame
    if text:  # items 0 to 3 are written like integers, so some parts may have no others
        as_text = pl.element().cast(pl.String).replace({str(i): f"i{i}" for i in range(4, 8)})
        click = pl.col("click").cast(pl.String).replace({str(i): f"i{i}" for i in range(4, 8)})
        frame = frame.with_columns(pl.col("slate").list.eval(as_text), click)
    path = prepared(tmp_path / "log.parquet", frame)
    log, whole = read_or_scan(path, 10), SessionLog.read(path)
    assert isinstance(log, ScannedLog)
    assert log.name == whole.name
    assert_same_log(log, whole)


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
    SessionLog(frame[50:]).write(mixed / "part-1.csv")
    log = read_or_scan(out_of_order, 10)
    assert isinstance(log, SessionLog)
    assert_same_log(log, SessionLog.read(out_of_order))
    with pytest.raises(UserError, match="mixed: its files do not fit together"):
        read_or_scan(mixed, 10)


def test_what_is_wrong_in_a_directory_is_named_by_its_file(tmp_path: Path) -> None:
    frame = small_log().frame
    wrong = frame.with_columns(reward=pl.when(pl.int_range(pl.len()) == 70).then(float("inf")).otherwise("reward"))
    with pytest.raises(UserError, match=r"a/part-1.parquet: row 31: column reward: found inf"):
        read_or_scan(in_files(tmp_path / "a", wrong, 40), 10)
    with pytest.raises(UserError, match=r"b/part-1.parquet: has no rows"):
        read_or_scan(in_files(tmp_path / "b", frame, 40, 40), 10)
    narrow = in_files(tmp_path / "c", frame, 40)
    prepared(narrow / "part-1.parquet", frame[40:].drop("reward"))
    with pytest.raises(UserError, match=r"c/part-1.parquet: found columns .*; expected .*'reward'"):
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


def damaged(path: Path, group: int) -> None:
    """Write noise over the middle of one row group, counted from 1."""
    groups, whole = row_groups(path), bytearray(path.read_bytes())
    at = int((len(whole) - 4_000) * (group - 0.5) / len(groups))
    whole[at : at + 600] = bytes([0xAB]) * 600
    path.write_bytes(whole)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A log of three row groups."""
    frame = small_log(900).frame
    return prepared(tmp_path / "log.parquet", frame, -(-len(frame) // 3))


@pytest.mark.parametrize("command", ["train", "inspect", "prepare"])
@pytest.mark.parametrize("most", [0, 10**7])
def test_a_damaged_row_group_is_named(
    command: str, most: int, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged(large, 2)
    out = ["--out", str(tmp_path / "out")]
    argv = {
        "train": ["train", str(large), "--recipe", "pg", "--set", f"in_memory_steps={most}", *out],
        "inspect": ["inspect", str(large)],
        "prepare": ["prepare", "log", str(large), *out],
    }
    assert main(argv[command]) == 2
    message = capsys.readouterr().err
    first = row_groups(large)[0]
    assert f"error: {large}: row group 2 (rows {first + 1} to {2 * first}): cannot be read as Parquet" in message
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_a_training_goes_on_when_its_log_is_whole_again(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**TINY, "in_memory_steps": 0, "batch_size": 256, "agent_epochs": 1}
    irecgan.train(large, recipe="pg", out=tmp_path / "whole", settings=options)
    with monkeypatch.context() as patch:
        patch.setattr("irecgan.training.train._finish", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=options)
    whole = large.read_bytes()
    damaged(large, 2)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with pytest.raises(UserError, match="row group 2"):
        irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=options, resume=True)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
    large.write_bytes(whole)
    irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=options, resume=True)
    files = [(tmp_path / name / "agent.safetensors").read_bytes() for name in ("whole", "run")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("noise", r"row group 2 \(.*\): cannot be read as Parquet"),
        ("cut", "cannot be read as Parquet"),
        ("gone", "No such file"),
    ],
)
def test_damage_between_two_looks_at_a_log_is_named(
    harm: str,
    told: str,
    large: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first look counts, and the second encodes."""

    def opened(*given: Any) -> Log:
        log = read_or_scan(*given)
        harmed(large, harm)
        return log

    monkeypatch.setattr("irecgan.training.train.read_or_scan", opened)
    options = ["--recipe", "pg", "--set", "in_memory_steps=0", "--out", str(tmp_path / "out")]
    assert main(["train", str(large), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"error: {large}: {told}", line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("harm", ["noise", "cut", "gone"])
@pytest.mark.parametrize("most", [0, 10**7])
def test_damage_after_a_log_was_encoded_changes_nothing(
    most: int, harm: str, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch reads a copy, in memory or in files that have no name."""
    settings = {**TINY, "in_memory_steps": most, "batch_size": 256, "agent_epochs": 2}
    irecgan.train(large, recipe="pg", out=tmp_path / "whole", settings=settings)
    epoch, harms = Journal.epoch, [partial(harmed, large, harm)]

    def learn(self: Journal, *given: Any) -> float:
        while harms:
            harms.pop()()
        return epoch(self, *given)

    monkeypatch.setattr(Journal, "epoch", learn)
    irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=settings)
    assert not harms
    whole, run = ((tmp_path / name / "agent.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == run


def harmed(path: Path, harm: str) -> None:
    """Noise in a row group, half of the file, or no file."""
    if harm == "noise":
        damaged(path, 2)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()


def test_row_groups_are_counted(tmp_path: Path) -> None:
    frame = small_log().frame
    assert row_groups(prepared(tmp_path / "a.parquet", frame, 50)) == [50] * (len(frame) // 50) + [len(frame) % 50]
    (tmp_path / "b.parquet").write_bytes(b"PAR1....PAR1")
    with pytest.raises(ValueError, match="not"):
        row_groups(tmp_path / "b.parquet")


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.jsonl", ""])
def test_a_log_larger_than_memory_is_refused_before_it_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SessionLog(small_log(400).frame).write(tmp_path / (name or "log.parquet"))
    monkeypatch.setattr(memory, "free_memory", lambda: 1e5)
    monkeypatch.setattr("irecgan.data.reading._read_file", lambda _: 1 / 0)
    with pytest.raises(UserError, match=r"needs about 0.0 GB of memory, found 0.0 GB free; expected a log that fits"):
        SessionLog.read(tmp_path / name)


def test_sizes_are_about_those_in_memory(tmp_path: Path) -> None:
    log = small_log(400)
    log.write(tmp_path / "log.parquet")
    assert memory.size_in_memory(tmp_path / "log.parquet") == pytest.approx(log.frame.estimated_size(), rel=0.05)
    free = memory.free_memory()
    assert free is None or free > 1e6


def test_a_large_log_is_learned_from_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = prepared(tmp_path / "log.parquet", small_log().frame)
    monkeypatch.setattr(memory, "free_memory", lambda: 0.0)
    with pytest.raises(UserError, match="needs about"):
        irecgan.train(log, recipe="pg", out=tmp_path / "run", settings=TINY)
    irecgan.train(log, recipe="pg", out=tmp_path / "run", settings={**TINY, "in_memory_steps": 0, "agent_epochs": 1})


INTERRUPTED = """
import sys, irecgan.data.prepare as prepare
write = prepare.SessionLog.write
def killed(log, path):
    write(log, path)
    if path.name == "validation.parquet":
        {end}
prepare.SessionLog.write = killed
from irecgan.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        ("raise KeyboardInterrupt", 130, "error: interrupted\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, "error: terminated\n"),
    ],
)
def test_an_interrupted_preparation_leaves_nothing(end: str, code: int, told: str, large: Path, tmp_path: Path) -> None:
    argv = ["prepare", "log", str(large), "--out", str(tmp_path / "out")]
    script = INTERRUPTED.replace("{end}", end)
    done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == told
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]
