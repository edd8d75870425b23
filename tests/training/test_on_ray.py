"""Trainings in workers of Ray Train: they learn what torchrun's processes do, also when one of them is lost."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import together
import torch
import torch.distributed as dist
from launching import finished, launch
from safetensors.torch import load_file

from irecgan.cli import main
from irecgan.errors import UserError
from irecgan.execution.ray_cluster import Cluster
from irecgan.training import on_ray
from irecgan.training.distributed import LostProcessError
from irecgan.training.metrics import read_metrics
from irecgan.training.on_ray import RayTraining, cause
from small_logs import TINY, small_log

SETTINGS = {**TINY, "batch_size": 8, "agent_epochs": 25, "patience": 25, "agent_learning_rate": 1e-2}
ON_RAY = pytest.mark.xdist_group("ray")


def work_until_killed(killed: Path, version: str, arguments: dict[str, Any]) -> list[str]:
    """What a worker does, who is killed once, as the second, in the middle of its work."""
    if dist.get_rank() == 1 and not killed.exists():
        threading.Thread(target=kill_at, args=(arguments["out"] / "checkpoint.safetensors", killed)).start()
    return on_ray._work(version, arguments)


def kill_at(checkpoint: Path, killed: Path) -> None:
    """End this process as soon as there is a checkpoint."""
    while not checkpoint.exists():
        time.sleep(0.001)
    killed.touch()
    os.kill(os.getpid(), signal.SIGKILL)


@ON_RAY
def test_workers_learn_as_processes_of_torchrun_although_one_is_lost(
    ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, killed = tmp_path / "log.parquet", tmp_path / "killed"
    small_log(58).write(log)
    command = ["train", str(log), "--recipe", "pg", "--json", *together.options(SETTINGS)]
    pair = launch(["-m", "irecgan", *command, "--out", tmp_path / "torchrun"])
    monkeypatch.setattr(on_ray, "_work", partial(work_until_killed, killed))
    assert main([*command, "--out", str(tmp_path / "ray"), "--ray", ray_address, "--workers", "2"]) == 0
    printed = capsys.readouterr()
    assert killed.exists()
    assert json.loads(printed.out)["recipe"] == "pg"
    (told,) = printed.err.splitlines()
    assert told.startswith(f"warning: {tmp_path / 'ray'}: a worker was lost (of rank ")
    assert told.endswith("); goes on from the last checkpoint, try 2 of 3")
    done = finished(pair)
    assert [code for code, _, _ in done] == [0, 0], done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "log.parquet", "ray", "torchrun"]
    figures = [[line["agent/loss"] for line in read_metrics(tmp_path / name)] for name in ("ray", "torchrun")]
    assert figures[0] == figures[1]
    assert len(figures[0]) == 25
    one, other = (load_file(tmp_path / name / "agent.safetensors") for name in ("ray", "torchrun"))
    assert all(torch.equal(one[key], other[key]) for key in one)


@ON_RAY
def test_a_training_that_finds_no_room_after_a_loss_ends(
    ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "0.2")
    training, out = RayTraining(Cluster(ray_address), 2), tmp_path / "run"
    with (
        training.cluster.connected() as ray,
        occupied(ray, 1),
        pytest.raises(
            UserError, match=rf"^{out}: a worker was lost, and the cluster has no room for 2 any more; go on"
        ),
    ):
        training._fit({"device": "cpu", "out": out}, out, patient=False)
    assert not list(tmp_path.iterdir())


@contextmanager
def occupied(ray: Any, cpus: int) -> Iterator[None]:
    """Keep CPUs of the cluster from others."""
    group = ray.util.placement_group([{"CPU": cpus}])
    assert group.wait(30)
    try:
        yield
    finally:
        ray.util.remove_placement_group(group)


def test_workers_wait_as_long_as_the_settings_say() -> None:
    assert [on_ray._wait(settings) for settings in (None, {"wait_minutes": 0.5})] == [600, 30]


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


@contextmanager
def two_cpus(_: Cluster) -> Iterator[Any]:
    yield SimpleNamespace(cluster_resources=lambda: {"CPU": 2.0})


def losing(monkeypatch: pytest.MonkeyPatch, times: int) -> list[bool]:
    """Have trainings lose a worker ``times`` times; what comes back fills with whether each try resumed."""
    tries: list[bool] = []

    def fit(_: RayTraining, arguments: dict[str, Any], out: Path, *, patient: bool) -> list[str]:
        assert patient is (not tries)
        tries.append(arguments["resume"])
        if len(tries) <= times:
            raise LostProcessError("of rank 1")
        return []

    monkeypatch.setattr(Cluster, "connected", two_cpus)
    monkeypatch.setattr(RayTraining, "_fit", fit)
    return tries


def test_a_training_that_loses_a_worker_says_so_and_resumes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = losing(monkeypatch, 1)
    RayTraining(Cluster("local"), 2).run(log="log", out=Path("run"))
    assert tries == [False, True]
    assert [record.getMessage() for record in caplog.records] == [
        "run: a worker was lost (of rank 1); goes on from the last checkpoint, try 2 of 3"
    ]


def test_a_training_that_loses_worker_after_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = losing(monkeypatch, 9)
    with pytest.raises(UserError, match=r"^run: lost its workers 3 times \(of rank 1\); go on with --resume$"):
        RayTraining(Cluster("local"), 2).run(log="log", out=Path("run"))
    assert tries == [False, True, True]


@pytest.mark.parametrize(
    ("workers", "device", "message"),
    [
        (3, "cpu", r"^--workers 3: the cluster has 2 CPUs; expected one for each worker$"),
        (2, "cuda", r"^--device cuda: the cluster has 0 GPUs; expected one for each of 2 workers$"),
    ],
)
def test_a_cluster_that_is_too_small_is_told_of_at_once(
    workers: int, device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = losing(monkeypatch, 0)
    with pytest.raises(UserError, match=message):
        RayTraining(Cluster("local"), workers, device).run(log="log", out=Path("run"))
    assert not tries
