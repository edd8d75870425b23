import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irecgan.cli import main
from irecgan.worlds.shop_calibration import draw_shop

HEARING = """
import signal, sys
from irecgan.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
sys.exit(main(sys.argv[1:]))
"""
SMALL = ["--seeds", "2", "--set", "rounds=2", "--set", "sessions=30", "--set", "evaluation_sessions=50"]


def test_an_interrupted_experiment_goes_on_to_the_same_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def argv(name: str) -> list[str]:
        return ["reproduce", "figure3", "--out", str(tmp_path / name), "--workers", "1", *SMALL]

    process = subprocess.Popen(
        [sys.executable, "-c", HEARING, *argv("killed")], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    cells = tmp_path / "killed" / "cells"
    while not list(cells.glob("[!.]*.json")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert stderr.splitlines() == ["error: interrupted"]
    done = {path.name for path in cells.glob("[!.]*.json")}
    assert 0 < len(done) < 10
    assert main(argv("killed")) == 0
    assert main([*argv("whole"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("killed", "whole"))
    assert one == other
    assert printed == {**other, "report": str(tmp_path / "whole" / "report.html")}
    assert (tmp_path / "whole" / "report.html").read_text().startswith("<!doctype html>")


def test_a_terminated_experiment_leaves_no_process_and_no_folder_behind(tmp_path: Path) -> None:
    scratch, cells = tmp_path / "scratch", tmp_path / "out" / "cells"
    scratch.mkdir()
    argv = ["reproduce", "figure3", "--out", str(tmp_path / "out"), "--workers", "1", *SMALL]
    process = subprocess.Popen(
        [sys.executable, "-m", "irecgan", *argv],
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while not (list(cells.glob("[!.]*.json")) and list(scratch.glob("tmp*"))) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate()  # until the workers, too, have let go of it
    assert process.returncode == 143, stderr
    assert stderr.splitlines() == ["error: terminated"]
    assert not list(scratch.glob("tmp*"))  # torch leaves a folder of its own
    assert not list(cells.glob(".*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["figure4"], "experiment 'figure4': no such experiment; expected one of figure2, figure3, table1"),
        (["figure2", "--preset", "huge"], "--preset huge: no such preset; expected one of quick, paper"),
        (["figure2", "--models", "lstm,gan"], "--models: found 'gan'"),
        (["figure2", "--models", ""], "--models: found ''"),
        (["figure3", "--models", "lstm"], "--models: this experiment has none such; expected one of laws"),
        (["figure2", "--seeds", "0"], "--seeds: found 0"),
        (["figure2", "--set", "seeds=0"], "setting seeds: found 0"),
        (["figure2", "--log", "anywhere"], "--log: this experiment has none such"),
        (["table1", "--log", "nowhere"], "nowhere: not a prepared log; expected a directory that"),
        (["beyond", "--world", "nowhere.json"], "nowhere.json: "),
        (["beyond", "--world", "a/x.json", "--world", "b/a/x.json"], "found files named a/x, a/x; expected different"),
        (["beyond", "--set", "first_seed=-1"], "setting first_seed: found -1"),
        (["figure2", "--world", "any.json"], "--world: this experiment has none such"),
        (["table1", "--set", 'splits=["weekday"]'], "setting splits.0: found 'weekday'"),
        (["figure3", "--set", "rounds"], "--set rounds: expected key=value"),
        (["figure3", "--workers", "0"], "--workers: found 0, expected at least 1"),
    ],
)
def test_wrong_calls_are_one_line_and_leave_nothing(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["reproduce", *options, "--out", str(out)]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: ")
    assert len(stderr.splitlines()) == 1
    assert message in stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "shop"}', "WORLD.json: "),
        ('{"reward": [[0.5]], "slate_size": 1}', "WORLD.json: transition: found nothing, expected this field"),
    ],
)
def test_a_file_that_is_no_world_of_states_is_told_in_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "WORLD.json").write_text(text)
    argv = ["reproduce", "beyond", "--world", str(tmp_path / "WORLD.json"), "--out", str(tmp_path / "out")]
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_shop_is_no_world_to_learn_slates_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_shop(200, seed=0).save(tmp_path / "WORLD.json")
    argv = ["reproduce", "beyond", "--world", str(tmp_path / "WORLD.json"), "--out", str(tmp_path / "out")]
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WORLD.json: found a shop; expected a world with reward and transition")
