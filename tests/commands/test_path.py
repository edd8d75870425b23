"""The commands as a user calls them, one after the other."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import irecgan
from irecgan.cli import COMMANDS, main
from irecgan.data.log import SessionLog
from small_logs import TINY, small_log

SETTINGS = [option for key, value in TINY.items() for option in ("--set", f"{key}={value}")]


def called(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    """The JSON that a command prints, and nothing else on stdout."""
    assert main([*map(str, argv), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_log_becomes_a_policy_that_is_measured_and_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, world, run = tmp_path / "log.parquet", tmp_path / "WORLD.json", tmp_path / "run"
    drawn = ("--states", 3, "--items", 12, "--slate-size", 4)
    made = called(capsys, "simulate", "--out", log, "--policy", "mix", "--sessions", 120, *drawn)
    assert made["sessions"] == 120

    prepared = called(capsys, "prepare", "log", log, "--out", tmp_path / "prepared")
    assert {name: part["sessions"] for name, part in prepared["parts"].items()} == {
        "train": 96, "validation": 12, "test": 12,
    }  # fmt: skip
    parts = called(capsys, "inspect", tmp_path / "prepared")["parts"]
    assert parts["train"]["counts"]["sessions"] == 96
    assert called(capsys, "inspect", log)["ends_unclicked"] is True

    trained = called(capsys, "train", tmp_path / "prepared", "--recipe", "irecgan", "--out", run, *SETTINGS)
    assert trained["phases"]["rounds"]["units"] <= 2

    online = called(capsys, "evaluate", run, "--world", world, "--sessions", 200, "--baselines")
    rewards = {name: fields["cumulative_reward"]["mean"] for name, fields in online["runs"].items()}
    assert rewards["run"] <= rewards["oracle"]
    offline = called(capsys, "evaluate", run, "--log", tmp_path / "prepared", "--min-candidates", 4, "--baselines")
    assert offline["runs"]["run"]["steps"] == parts["test"]["counts"]["clicks"]

    answer = called(capsys, "recommend", run, "--history", "3,5", "-k", 2)
    assert len(answer["items"]) == 2
    candidates = called(capsys, "recommend", run, "--candidates", "3,5,nosuch")
    assert candidates["items"][-1] == "nosuch"
    again = called(
        capsys, "simulate", "--out", tmp_path / "more.csv", "--policy", run, "--world", world, "--sessions", 20
    )
    assert again["sessions"] == 20


def test_ids_below_zero_are_values_of_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = small_log(30)
    below = log.frame.with_columns(pl.col("slate").list.eval(pl.element() - 5), pl.col("click") - 5)
    irecgan.train(SessionLog.from_frame(below), recipe="pg", out=tmp_path / "run", settings=TINY)
    apart = called(capsys, "recommend", tmp_path / "run", "--history", "-3,-2", "--candidates", "-5,2")
    assert apart == called(capsys, "recommend", tmp_path / "run", "--history=-3,-2", "--candidates=-5,2")
    assert apart["history"] == [-3, -2]
    assert sorted(apart["items"]) == [-5, 2]
    assert not apart["unknown_history"]


def test_the_demo_ends_with_a_table_and_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    argv = ["demo", "--out", str(out), "--sessions", "100", "--evaluation-sessions", "200", *SETTINGS]
    assert main(argv) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"report: {out / 'report.html'}"
    for name in ("lstm", "pg", "irecgan", "oracle", "max", "mix", "random", "popularity"):
        assert any(line.startswith(f"{name} ") for line in printed)
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "src=" not in page
    assert 'href="http' not in page
    assert main(["recommend", str(out / "runs" / "irecgan")]) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "usage: irecgan " + command in capsys.readouterr().out
