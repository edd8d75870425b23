"""Logs that are looked at slice by slice: the results are those of the whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irecgan.data import slices
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.filters import Counts
from irecgan.data.inspection import inspect_log
from irecgan.data.log import LogPart, SessionLog
from irecgan.data.prepare import prepare
from irecgan.errors import UserError
from small_logs import small_log

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
    sessions = encode(log, Catalogue(pl.read_parquet(out / "items.parquet")["item_id"]))
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
def test_a_part_that_is_written_in_slices_is_its_copy(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = small_log(30)
    part = LogPart(log, log.frame["session_id"].is_in([3, 4, 17]), "part")
    copy = part.copy()
    monkeypatch.setattr(slices, "SLICE", rows)
    part.write(tmp_path / "part.parquet")
    assert pl.read_parquet(tmp_path / "part.parquet").equals(copy.frame)
    assert part.items.equals(copy.items)
    assert copy.sessions == 3
    assert Counts.of(log.frame, part.rows) == Counts.of(copy.frame)


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
