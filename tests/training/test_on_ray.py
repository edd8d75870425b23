"""Trainings in workers of Ray Train: what is told of workers that fail, and what goes on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from irecgan.errors import UserError
from irecgan.execution.ray_cluster import Cluster
from irecgan.training.distributed import LostProcessError
from irecgan.training.on_ray import RayTraining, cause


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

    def fit(_: RayTraining, arguments: dict[str, Any], out: Path) -> list[str]:
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
