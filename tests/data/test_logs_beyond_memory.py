"""Logs for which memory does not do."""

from pathlib import Path

import pytest

import irecgan
from irecgan.data import memory
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from small_logs import TINY, prepared, small_log


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
