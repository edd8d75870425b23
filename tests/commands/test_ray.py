"""Commands that work on a Ray cluster: the same results as without one."""

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from irecgan.cli import main
from irecgan.experiments.frame import study
from irecgan.experiments.frame.study import Json

pytestmark = pytest.mark.xdist_group("ray")

STUDY = ["reproduce", "figure3", "--seeds", "1", "--set", "rounds=1", "--set", "sessions=30"]
STUDY += ["--set", "evaluation_sessions=50", "--set", 'laws=["softmax"]']


WORK = study._work


def work_unless_killed(killed: Path, *arguments: Any) -> Json:
    """What is done for a cell; whoever does it the first time is killed."""
    try:
        killed.touch(exist_ok=False)
    except FileExistsError:
        return WORK(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_an_experiment_finds_the_same_on_a_cluster_that_loses_a_worker(
    ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*STUDY, "--out", str(tmp_path / "here"), "--workers", "1"]) == 0
    before = capfd.readouterr().out
    monkeypatch.setattr(study, "_work", partial(work_unless_killed, tmp_path / "killed"))
    assert main([*STUDY, "--out", str(tmp_path / "there"), "--ray", ray_address]) == 0
    printed = capfd.readouterr()
    assert printed.out == before.replace(str(tmp_path / "here"), str(tmp_path / "there"))
    (told,) = printed.err.splitlines()
    assert told.endswith(": its worker was lost (Ray: WorkerCrashedError); done again, try 2 of 3")
    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("here", "there"))
    assert one == other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray", "ray://head:10001"], "--ray ray://head:10001: expected local, auto or HOST:PORT"),
        (["--ray", "127.0.0.1:1", "--ray-timeout", "0.2"], "--ray 127.0.0.1:1: no Ray cluster answers within 0.2 s"),
        (["--ray", "local", "--ray-timeout", "0"], "--ray-timeout: found 0, expected seconds above 0"),
        (["--ray", "local", "--workers", "0"], "--workers: found 0, expected at least 1"),
    ],
)
def test_a_cluster_that_cannot_be_had_is_one_line_and_leaves_nothing(
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: irecgan[ray]")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    assert main([*STUDY, "--out", str(tmp_path / "out"), *options]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
