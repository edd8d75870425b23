"""A training that is killed in earnest, and goes on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from irecgan.cli import main
from small_logs import TINY, small_log

SETTINGS = [f"{key}={value}" for key, value in {**TINY, "agent_epochs": 20, "patience": 20}.items()]

SLOW = """
import signal, sys, time, torch
from irecgan.cli import main
from irecgan.training import loop

save = loop.save_checkpoint
loop.save_checkpoint = lambda *arguments: (save(*arguments), time.sleep(0.5))
torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
sys.exit(main(sys.argv[1:]))
"""
"""The command, which takes longer than any busy machine lets the test wait."""


@pytest.mark.parametrize(
    ("kill", "status", "told"),
    [(signal.SIGINT, 130, "error: interrupted"), (signal.SIGTERM, 143, "error: terminated"), (signal.SIGKILL, -9, "")],
)
def test_a_killed_training_goes_on_to_the_same_weights(
    kill: signal.Signals, status: int, told: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.parquet"
    small_log(200).write(log)
    options = [part for setting in SETTINGS for part in ("--set", setting)]

    def argv(name: str) -> list[str]:
        return ["train", str(log), "--recipe", "pg", "--out", str(tmp_path / name), *options]

    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *argv("killed")], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(kill)
    _, stderr = process.communicate()
    assert process.returncode == status, stderr
    assert not (tmp_path / "killed" / "run.json").exists()
    assert [line for line in stderr.splitlines() if line.startswith("error")] == ([told] if told else [])
    if told:
        assert not list((tmp_path / "killed").glob(".*"))
    (tmp_path / "killed" / ".checkpoint.safetensors.x1y2").write_text("half")
    assert main([*argv("killed"), "--resume"]) == 0
    assert not list((tmp_path / "killed").glob(".*"))
    assert main(argv("whole")) == 0
    one, other = (load_file(tmp_path / name / "agent.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in one)
