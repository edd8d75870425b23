"""Trainings in workers of Ray Train: what torchrun's processes learn, also when one of them is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from irecgan.cli import main
from irecgan.errors import UserError
from irecgan.execution.ray_cluster import Cluster
from irecgan.training.distributed import LostProcessError
from irecgan.training.metrics import read_metrics
from irecgan.training.on_ray import RayTraining, cause
from small_logs import TINY, small_log

SETTINGS = {**TINY, "batch_size": 8, "agent_epochs": 40, "patience": 40, "agent_learning_rate": 1e-2}
ON_RAY = pytest.mark.xdist_group("ray")


@ON_RAY
def test_workers_learn_as_processes_of_torchrun_although_one_is_lost(
    ray_address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.parquet"
    small_log(58).write(log)
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    command = ["train", str(log), "--recipe", "pg", "--json", *settings]
    killer = threading.Thread(target=kill_a_worker, args=(tmp_path / "ray",), daemon=True)
    killer.start()
    assert main([*command, "--out", str(tmp_path / "ray"), "--ray", ray_address, "--workers", "2"]) == 0
    killer.join()
    printed = capsys.readouterr()
    assert json.loads(printed.out)["recipe"] == "pg"
    assert "a worker was lost" in printed.err
    assert "goes on from the last checkpoint, try 2 of 3" in printed.err
    launch([*command, "--out", str(tmp_path / "torchrun")])
    one, other = (load_file(tmp_path / name / "agent.safetensors") for name in ("ray", "torchrun"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert len(read_metrics(tmp_path / "ray")) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.parquet", "ray", "torchrun"]


def kill_a_worker(run: Path) -> None:
    """Kill one of the processes that train, once there is a checkpoint."""
    while not (run / "checkpoint.safetensors").exists():
        time.sleep(0.01)
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and b"RayTrainWorker" in (process / "cmdline").read_bytes():
            os.kill(int(process.name), signal.SIGKILL)
            return


def launch(command: list[str]) -> None:
    """Run ``command`` of irecgan in the two processes that torchrun would start."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "irecgan", *command],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
        )
        for rank in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]


@ON_RAY
def test_a_cluster_that_is_too_small_is_told_of_at_once(ray_address: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--workers 3: the cluster has 2 CPUs; expected one for each worker$"):
        RayTraining(Cluster(ray_address), 3).run(log=small_log(), recipe="pg", out=tmp_path / "run")
    with pytest.raises(UserError, match=r"^--device cuda: the cluster has 0 GPUs; expected one for each of 2 workers$"):
        RayTraining(Cluster(ray_address), 2, "cuda").run(log=small_log(), recipe="pg", out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


class GoneError(Exception):
    """What Ray says of a worker that is gone."""


@pytest.mark.parametrize(
    ("failures", "found"),
    [
        ({0: LostProcessError("socket closed"), 1: UserError("seed: found 1")}, UserError("seed: found 1")),
        ({0: LostProcessError("socket closed"), 1: ZeroDivisionError("zero")}, ZeroDivisionError("zero")),
        ({0: LostProcessError("socket closed"), 1: GoneError("gone")}, LostProcessError("of rank 0, 1")),
        ({1: GoneError("gone")}, LostProcessError("of rank 1")),
    ],
)
def test_the_cause_of_a_failure_comes_before_its_consequences(failures: dict[int, Exception], found: Exception) -> None:
    told = cause(failures, GoneError)
    assert (type(told), str(told)) == (type(found), str(found))
