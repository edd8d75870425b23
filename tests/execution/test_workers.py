"""What holds of all workers: of this process, of processes of this machine, of tasks on a Ray cluster."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.execution.interface import Done, Executor
from irecgan.execution.processes import LocalProcesses
from irecgan.execution.ray_cluster import Cluster
from irecgan.execution.ray_tasks import RayTasks
from irecgan.execution.work_off import worked_off

ON_RAY = pytest.param("ray", marks=pytest.mark.xdist_group("ray"))  # one process of tests makes one cluster


@pytest.fixture(params=["here", "processes", ON_RAY])
def executor(request: pytest.FixtureRequest) -> Executor:
    return made(request)


@pytest.fixture(params=["processes", ON_RAY])
def mortal(request: pytest.FixtureRequest) -> Executor:
    """Workers that can be lost."""
    return made(request)


def made(request: pytest.FixtureRequest) -> Executor:
    match request.param:
        case "here":
            return Here()
        case "processes":
            return LocalProcesses(1)
        case _:
            return RayTasks(Cluster(request.getfixturevalue("ray_address")))


def name(task: int) -> str:
    return f"task {task}"


def squared(number: int) -> tuple[int, int]:
    if number == 3:
        logging.getLogger("irecgan.somewhere").warning("three is odd")
    return number**2, torch.get_num_threads()


def refused(number: int) -> int:
    if number == 2:
        raise UserError("row 2: found 2, expected another number")
    return number


def broken(number: int) -> float:
    return 1 / (number - 2)


def deadly(marks: Path, times: int, number: int) -> int:
    """Task 2 ends its worker ``times`` times."""
    if number == 2:
        mark = len(list(marks.iterdir()))
        if mark < times:
            (marks / str(mark)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_every_task_has_its_result_and_warnings_come_back(
    executor: Executor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # that workers compute on one thread is their own doing
    threads = torch.get_num_threads()
    found = dict(worked_off(executor, squared, range(1, 6), name))
    assert found == {number: (number**2, 1) for number in range(1, 6)}
    assert [record.getMessage() for record in caplog.records] == ["task 3: three is odd"]
    assert torch.get_num_threads() == threads


def test_no_more_tasks_are_taken_than_there_are_workers(executor: Executor) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    done = worked_off(executor, refused, (n for n in tasks() if n != 2), name)
    next(done)
    assert len(taken) < 10
    assert len(list(done)) == 38


def test_a_mistake_of_the_user_is_told_as_it_is(executor: Executor) -> None:
    with pytest.raises(UserError, match=r"^row 2: found 2, expected another number$"):
        list(worked_off(executor, refused, range(5), name))


def test_what_else_goes_wrong_is_not_hidden(executor: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        list(worked_off(executor, broken, [2], name))


def test_what_a_lost_worker_had_is_done_again(
    mortal: Executor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = dict(worked_off(mortal, partial(deadly, tmp_path, 1), range(4), name))
    assert found == {number: number for number in range(4)}
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("task 2: its worker was lost")
    assert told.endswith("done again, try 2 of 3")


def test_a_task_that_loses_worker_after_worker_is_given_up(mortal: Executor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^task 2: its worker was lost 3 times .*; expected workers that last$"):
        list(worked_off(mortal, partial(deadly, tmp_path, 9), range(4), name))


def test_two_processes_work_at_once() -> None:
    assert dict(worked_off(LocalProcesses(2), refused, (0, 1, 3), name)) == {0: 0, 1: 1, 3: 3}


def idle(marks: Path, number: int) -> int:
    (marks / str(os.getpid())).touch()
    time.sleep(60)
    return number


def test_processes_end_with_the_block(tmp_path: Path) -> None:
    with LocalProcesses(2).open(partial(idle, tmp_path)) as workers:
        workers.begin(1)
        while not (begun := list(tmp_path.iterdir())):
            time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun[0].name), 0)


ASK = """
import os, signal, sys, threading
from irecgan.ending import Terminated, end_when_terminated
from irecgan.errors import UserError
from irecgan.execution.ray_cluster import Cluster
end_when_terminated()
try:
    with Cluster(sys.argv[1], 1.0).connected() as ray:
        print("connected")
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        ray.get(ray.remote(num_cpus=99)(lambda: "what nobody can work off").remote())
except Terminated:
    try:
        signal.raise_signal(signal.SIGTERM)
    except Terminated:
        print("terminated twice")
except UserError as error:
    print(error)
"""


@pytest.mark.xdist_group("ray")
def test_an_address_that_does_not_answer_is_given_up_in_time(ray_address: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        begin = time.monotonic()
        done = subprocess.run([sys.executable, "-c", ASK, address], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"--ray {address}: no Ray cluster answers within 1 s; expected the address that")
    assert len(done.stdout.splitlines()) == 1
    assert time.monotonic() - begin < 20
    assert not done.stderr


@pytest.mark.xdist_group("ray")
def test_a_cluster_is_found_at_its_address_and_left_when_told_to_end(ray_address: str) -> None:
    ask = ASK.replace("1.0", "60.0")
    done = subprocess.run([sys.executable, "-c", ask, ray_address], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["connected", "terminated twice"]
    assert not done.stderr


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UserError, match=r"^--ray: ray is not installed; pip install 'irecgan\[ray\]'$"),
        Cluster("local").connected(),
    ):
        pass


@pytest.mark.xdist_group("ray")
def test_addresses_of_ray_clients_are_refused(ray_address: str) -> None:
    with pytest.raises(UserError, match=r"^--ray ray://head:10001: expected local, auto or HOST:PORT"):
        Cluster("ray://head:10001")._expect_answer()


def test_a_worker_that_dies_while_it_is_idle_is_replaced() -> None:
    with LocalProcesses(1).open(squared) as workers:
        first: Any = workers.begin(1)
        workers.first_finished([first])
        first.process.kill()
        first.process.join()
        second = workers.begin(2)
        assert second is not first
        _, done = workers.first_finished([second])
        assert isinstance(done, Done)
        assert done.result[0] == 4
