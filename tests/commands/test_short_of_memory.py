"""Commands for which memory does not do: one line, exit status 2, and a training that goes on when there is more."""

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import irecgan
from interrupting import interrupted_after
from irecgan.cli import main
from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.execution.interface import Executor
from irecgan.execution.processes import LocalProcesses
from irecgan.execution.work_off import worked_off
from irecgan.training.learner import Learner
from small_logs import TINY, small_log

TOO_MANY = 10**15


def of_cuda() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nOf the allocated memory ...")


def of_system() -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def of_python() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (partial(torch.empty, TOO_MANY), "can't allocate memory: you tried to allocate 4000000000000000 bytes"),
        (partial(np.empty, TOO_MANY), "Unable to allocate 7.11 PiB"),
        (of_cuda, "CUDA out of memory. Tried to allocate 2.00 GiB.;"),
        (of_system, "Cannot allocate memory"),
        (of_python, "there is not enough"),
    ],
)
def test_a_want_of_memory_ends_a_training_that_goes_on_later(
    work: Callable[[], object],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small_log().write(tmp_path / "log.parquet")
    options = [option for key, value in TINY.items() for option in ("--set", f"{key}={value}")]
    argv = ["train", str(tmp_path / "log.parquet"), "--recipe", "lstm", "--out", str(tmp_path / "run"), *options]
    with monkeypatch.context() as patch:
        patch.setattr("irecgan.training.train.run_phases", lambda *_: work())
        assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: memory: ")
    assert said in line
    assert line.endswith("; expected more that is free, or a smaller log, model or batch")
    assert main([*argv, "--resume"]) == 0


def test_a_checkpoint_for_which_memory_does_not_do_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = partial(irecgan.train, small_log(), recipe="lstm", out=tmp_path / "run", settings=TINY)
    with interrupted_after(1, monkeypatch):
        go()
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "load_state", lambda *_: torch.empty(TOO_MANY))
        with pytest.raises(RuntimeError, match="can't allocate memory"):
            go(resume=True)
    go(resume=True)


def test_other_errors_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("irecgan.commands.inspect.run", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        main(["inspect", str(tmp_path)])


def filled(size: int) -> int:
    return len(torch.zeros(size))


@pytest.mark.parametrize("executor", [Here(), LocalProcesses(1)])
def test_a_worker_that_wants_memory_ends_the_command(executor: Executor) -> None:
    with pytest.raises(UserError, match=r"^memory: .* 4000000000000000 bytes"):
        list(worked_off(executor, filled, [TOO_MANY], str))
