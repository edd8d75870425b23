"""Several processes train as one: the same losses, the same weights in all, and a loss of one costs nothing."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import irecgan
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.errors import UserError
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.distributed import ALONE, Processes, process_group
from irecgan.training.lab import make_lab
from irecgan.training.losses import policy_gradient
from irecgan.training.metrics import read_metrics
from irecgan.training.tuning import train_best
from small_logs import TINY, small_log

COMMAND = [sys.executable, "-m", "irecgan", "train"]


def launch(options: list[str], size: int = 2, command: Sequence[str] = COMMAND) -> list["subprocess.Popen[str]"]:
    """The processes that torchrun would start."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [*command, *options],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def finished(processes: list["subprocess.Popen[str]"]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each."""
    return [(process.returncode, *texts) for process in processes for texts in [process.communicate(timeout=120)]]


def options(log: Path, out: Path, recipe: str, settings: Mapping[str, object]) -> list[str]:
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [str(log), "--recipe", recipe, "--out", str(out), *given]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """52 sessions to learn from, in global batches of 16: the last one, of 4, is uneven."""
    path = tmp_path_factory.mktemp("logs") / "log.parquet"
    small_log(58).write(path)
    return path


def losses(run: Path, *keys: str) -> list[list[float]]:
    return [[float(line[key]) for key in keys if key in line] for line in read_metrics(run)]


def test_two_processes_learn_as_one_with_twice_the_batch(log: Path, tmp_path: Path) -> None:
    """U and A; generated sessions, and so D's, are drawn by streams of each process's own."""
    settings = {**TINY, "batch_size": 8, "user_learning_rate": 1e-2, "agent_learning_rate": 1e-2}
    done = finished(launch([*options(log, tmp_path / "two", "irecgan", settings), "--json"]))
    assert [code for code, _, _ in done] == [0, 0], done
    assert json.loads(done[0][1])["recipe"] == "irecgan"
    assert all(line.startswith("warning: rounds: predicted value") for _, _, text in done for line in text.splitlines())
    assert not done[1][1]
    irecgan.train(log, recipe="irecgan", out=tmp_path / "one", settings={**settings, "batch_size": 16})
    keys = ("user/loss", "user/validation", "agent/loss", "agent/validation")
    one, two = (losses(tmp_path / name, *keys)[:6] for name in ("one", "two"))
    assert len(one) == 6
    for alone, together in zip(one, two, strict=True):
        assert together == pytest.approx(alone, rel=1e-5)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["origin"]["processes"] == 2


def verdicts(processes: Processes, batch_size: int) -> dict[str, float]:
    """What D learns in two epochs on given sessions, of which 50 are generated."""
    logged, other = small_log(60), small_log(50, seed=4)
    catalogue = Catalogue.from_log(logged)
    sessions = encode(logged, catalogue)
    data = TrainingData(sessions, sessions, final_slates=True)
    config = TrainingConfig.checked({**TINY, "batch_size": batch_size, "discriminator_learning_rate": 1e-2})
    lab = make_lab(data, config, Streams(0), policy_gradient, processes=processes)
    found = [lab.discriminator_epoch(encode(other, catalogue), Streams(epoch).torch("shuffle")) for epoch in range(2)]
    weight = sum(float(parameter.detach().double().square().sum()) for parameter in lab.discriminator.parameters())
    return {**found[1], "weight": weight}


def teach() -> None:
    """What each of the processes of the next test does."""
    with process_group(torch.device("cpu")) as processes:
        print(json.dumps(verdicts(processes, 8)))


def test_two_processes_teach_the_discriminator_as_one_with_twice_the_batch() -> None:
    work = "import sys; sys.path[:0] = ['tests', 'tests/training']; import test_distributed as t; t.teach()"
    done = finished(launch([], command=[sys.executable, "-c", work]))
    assert [code for code, _, _ in done] == [0, 0], done
    one, other = (json.loads(text) for _, text, _ in done)
    assert one == other
    assert one == pytest.approx(verdicts(ALONE, 16), rel=1e-4)


def test_a_lost_process_ends_the_others_and_the_training_goes_on_exactly(log: Path, tmp_path: Path) -> None:
    settings = {**TINY, "batch_size": 4, "agent_epochs": 30, "patience": 30}
    lost = launch(options(log, tmp_path / "lost", "pg", settings))
    while not (tmp_path / "lost" / "checkpoint.safetensors").exists() and lost[1].poll() is None:
        time.sleep(0.01)
    lost[1].kill()
    code, _, told = finished(lost)[0]
    assert code == 2, told
    assert len([line for line in told.splitlines() if line.startswith("error: another process")]) == 1
    assert not (tmp_path / "lost" / "run.json").exists()
    with pytest.raises(UserError, match="processes=2, found 1"):
        irecgan.train(log, recipe="pg", out=tmp_path / "lost", settings=settings, resume=True)
    again = finished(launch([*options(log, tmp_path / "lost", "pg", settings), "--resume"]))
    whole = finished(launch(options(log, tmp_path / "whole", "pg", settings)))
    assert [code for code, _, _ in again + whole] == [0] * 4, again + whole
    one, other = (load_file(tmp_path / name / "agent.safetensors") for name in ("lost", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_processes_with_different_seeds_are_refused(log: Path, tmp_path: Path) -> None:
    given = [[*options(log, tmp_path / "run", "pg", TINY), "--seed", str(seed)] for seed in (0, 1)]
    one, other = launch(given[0]), launch(given[1])
    # The second process of the first launch is replaced by one with another seed.
    for process in (one[1], *other):
        process.kill()
        process.communicate()
    place = Path(f"/proc/{one[0].pid}/environ").read_text().split("\0")
    environment = dict(pair.split("=", 1) for pair in place if "=" in pair) | {"RANK": "1"}
    second = subprocess.Popen(
        [*COMMAND, *given[1]], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for code, _, told in finished([one[0], second]):
        assert code == 2
        assert "seed: found" in told
    assert not (tmp_path / "run").exists()


def test_every_row_of_a_batch_falls_to_one_process() -> None:
    rows = torch.tensor([5, 3, 8, 1, 9])
    shares = [Processes(rank, 3).share(rows) for rank in range(3)]
    assert [mine.tolist() for mine, _ in shares] == [[5, 1], [3, 9], [8]]
    assert [weight for _, weight in shares] == [2 / 5, 2 / 5, 1 / 5]
    empty, weight = Processes(2, 3).share(rows[:2])
    assert (empty.tolist(), weight) == ([5], 0.0)
    whole, weight = ALONE.share(rows)
    assert (whole.tolist(), weight) == (rows.tolist(), 1.0)


def test_portions_add_up() -> None:
    assert [Processes(rank, 3).portion(11) for rank in range(3)] == [4, 4, 3]
    assert [Processes(rank, 3).portion(2) for rank in range(3)] == [1, 1, 1]


def test_what_cannot_be_split_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="train_best: found 2 processes"):
        train_best(small_log(), out=tmp_path / "run", recipe="pg")
