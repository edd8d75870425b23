"""A log of which a few sessions were cut off still tells when users leave."""

from pathlib import Path

import polars as pl
import pytest

import irecgan
from irecgan.data.log import SessionLog
from irecgan.runs.manifest import Manifest
from small_logs import TINY, small_log


def cut_log() -> SessionLog:
    """One session in twelve lost its last slate."""
    frame = small_log().frame
    lost = (pl.col("session_id").rle_id() % 12 == 0) & pl.col("click").is_null()
    log = SessionLog.from_frame(frame.filter(~lost))
    assert 0 < log.sessions - log.ends.unclicked <= log.sessions / 10
    return log


@pytest.mark.parametrize("recipe", ["irecgan", "lstmd", "slate", "latent", "terms", "auto"])
def test_recipes_learn_from_it(recipe: str, tmp_path: Path) -> None:
    irecgan.train(cut_log(), recipe=recipe, out=tmp_path / "run", settings={**TINY, "candidates": "count,latent"})
    assert Manifest.read(tmp_path / "run").final_slates
