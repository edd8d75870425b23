"""Columns of items and of the log, from files to recommendations, on the command line."""

import json
from pathlib import Path

import polars as pl
import pytest

from irecgan.cli import main
from small_logs import TINY

SETTINGS = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]

TRAIN = ["train", "--recipe", "pg", "--out", "{new}", "--set"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two kinds of items on two kinds of devices, prepared with columns of its items, and a run."""
    home = tmp_path_factory.mktemp("home")
    rows = [(s, 0, f"{2 * s % 6} {(2 * s + 1) % 6}", 2 * s % 6, ("tv", "phone")[s % 2]) for s in range(60)]
    log = pl.DataFrame(rows, schema=["session_id", "step", "slate", "click", "device"], orient="row")
    log.write_csv(home / "log.csv")
    pl.DataFrame({"item_id": range(8), "kind": ["a", "b"] * 4, "price": range(8)}).write_csv(home / "items.csv")
    prepare = ["prepare", "log", str(home / "log.csv"), "--items", str(home / "items.csv"), "--out", str(home / "log")]
    assert main(prepare) == 0
    train = ["train", str(home / "log"), "--recipe", "pg", *SETTINGS, "--out", str(home / "run")]
    assert main([*train, "--set", "item_features=kind,price", "--set", "context_features=device"]) == 0
    return home


def test_new_items_are_recommended_in_a_context(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["recommend", str(home / "run"), "--json", "-k", "8", "--history", "0"]
    assert main(ask) == 0
    plain = json.loads(capsys.readouterr().out)
    assert sorted(plain["items"]) == list(range(8))
    assert main([*ask, "--context", "device=tv"]) == 0
    assert json.loads(capsys.readouterr().out)["probabilities"] != plain["probabilities"]
    assert main(["recommend", str(home / "run"), "--candidates", "7,6", "--context", "device=tv"]) == 0
    assert main(["evaluate", str(home / "run"), "--log", str(home / "log"), "--min-candidates", "2"]) == 0


def test_prepare_says_what_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["prepare", "log", str(home / "log.csv"), "--items", str(home / "items.csv"), "--out", str(home / "again")]
    assert main(argv) == 0
    assert "columns of 8 items: kind, price; of 0 items in the train part nothing is told, 2 others are new" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["recommend", "{run}", "--context", "device"], "--context: found 'device', expected column=value"),
        (["recommend", "{run}", "--context", "a=1", "--context", "a=2"], "each column once"),
        (["recommend", "{run}", "--context", "colour=red"], "context: found 'colour'; expected one of device"),
        ([*TRAIN, "item_features=all", "{log}.csv"], "found no items beside"),
        ([*TRAIN, "item_features=a,,b", "{log}"], "expected names of columns"),
        ([*TRAIN, "item_features=all", "{log}", "--items", "{log}.csv"], "log.csv: missing column item_id"),
        (["prepare", "log", "{log}.csv", "--out", "{new}", "--items", "{log}.csv"], "log.csv: missing column item_id"),
    ],
)
def test_wrong_options_are_answered_with_one_line(
    argv: list[str], named: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"run": home / "run", "log": home / "log", "new": home / "new"}
    assert main([part.format(**places) for part in argv]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert named in lines[0]
    assert not (home / "new").exists()
