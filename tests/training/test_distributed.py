"""Several processes train as one: the same losses, the same weights in all, and a loss of one costs nothing."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import failing
import pytest
import together
import torch
from hypothesis import given
from hypothesis import strategies as st
from launching import finished, launch
from safetensors import safe_open
from safetensors.torch import load_file

import irecgan
from irecgan.errors import UserError
from irecgan.training.distributed import ALONE, Processes
from irecgan.training.metrics import read_metrics
from irecgan.training.shared_memory import SHARED
from irecgan.training.tuning import train_best
from small_logs import TINY, small_log

TWO = {**TINY, **together.RATES, "batch_size": 8}
TERMS = {**TWO, "terms": "all", "user_dropout": 0.0}
LOST = {**TINY, "batch_size": 4, "agent_epochs": 12, "patience": 12}
FAILING = Path(failing.__file__)

pytestmark = pytest.mark.xdist_group("processes")  # whoever has the fixtures has them for all tests


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """52 sessions to learn from, in global batches of 16: the last one, of 4, is uneven."""
    home = tmp_path_factory.mktemp("home")
    small_log(58).write(home / "log.parquet")
    (home / "settings.json").write_text(json.dumps({"two": TWO, "terms": TERMS, "lost": LOST}))
    return home


@pytest.fixture(scope="module")
def lost(home: Path) -> tuple[int, str, str]:
    """What the first of two processes says when the other is killed."""
    options = ["--recipe", "pg", "--out", home / "lost", *together.options(LOST)]
    pair = launch(["-m", "irecgan", "train", home / "log.parquet", *options])
    while not (home / "lost" / "checkpoint.safetensors").exists() and pair[1].poll() is None:
        time.sleep(0.01)
    pair[1].kill()
    return finished(pair)[0]


class Torn(NamedTuple):
    """What a training leaves whose first process is killed while it writes its third checkpoint."""

    code: int
    told: str
    files: list[str]
    progress: dict[str, Any]  # of the checkpoint


@pytest.fixture(scope="module")
def torn(home: Path) -> Torn:
    """By torchrun."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["train", home / "log.parquet", "--recipe", "pg", "--out", home / "torn", *together.options(LOST)]
    argv = list(map(str, [*torchrun, FAILING, "SIGKILL", *command]))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)
    files = sorted(path.name for path in (home / "torn").iterdir())
    with safe_open(home / "torn" / "checkpoint.safetensors", framework="pt") as file:
        return Torn(done.returncode, done.stderr, files, json.loads(file.metadata()["progress"]))


@pytest.fixture(scope="module")
def found(home: Path, lost: tuple[int, str, str], torn: Torn) -> list[dict[str, Any]]:
    """What the two processes of `together` found."""
    before = set(SHARED.glob("irecgan-*"))
    done = finished(launch([Path(together.__file__), home]))
    assert [code for code, _, _ in done] == [0, 0], done
    assert set(SHARED.glob("irecgan-*")) == before
    return [json.loads(text) for _, text, _ in done]


def losses(run: Path, *keys: str) -> list[list[float]]:
    return [[float(line[key]) for key in keys if key in line] for line in read_metrics(run)]


def test_two_processes_learn_as_one_with_twice_the_batch(home: Path, found: list[dict[str, Any]]) -> None:
    """U and A; generated sessions, and so D's, are drawn by streams of each process's own."""
    (code, out, told), (other_code, other_out, other_told) = (each["irecgan"] for each in found)
    assert (code, other_code, other_out) == (0, 0, ""), (told, other_told)
    assert json.loads(out)["recipe"] == "irecgan"
    assert all(line.startswith("warning: rounds: predicted value") for line in (told + other_told).splitlines())
    irecgan.train(home / "log.parquet", recipe="irecgan", out=home / "one", settings={**TWO, "batch_size": 16})
    keys = ("user/loss", "user/validation", "agent/loss", "agent/validation")
    one, two = (losses(home / name, *keys)[:6] for name in ("one", "two"))
    assert len(one) == 6
    for alone, joint in zip(one, two, strict=True):
        assert joint == pytest.approx(alone, rel=1e-5)
    assert json.loads((home / "two" / "run.json").read_text())["origin"]["processes"] == 2


def test_two_processes_learn_terms_as_one_with_twice_the_batch(home: Path, found: list[dict[str, Any]]) -> None:
    """By gradients and then by Newton's steps, of which rounding says when they help no more."""
    assert [each["terms"][0] for each in found] == [0, 0], found
    irecgan.train(home / "log.parquet", recipe="terms", out=home / "one terms", settings={**TERMS, "batch_size": 16})
    names = ("one terms", "terms")
    one, two = (losses(home / name, "user/loss", "user/validation")[:6] for name in names)
    assert [len(line) for line in one] == [2, 2, 2, 1, 1, 1]  # those that sharpen have no loss of their own
    for alone, joint in zip(one, two, strict=True):
        assert joint == pytest.approx(alone, rel=1e-5)
    whole, shared = (load_file(home / name / "user.safetensors") for name in names)
    assert whole["terms.weight"].abs().max() > 0.1
    torch.testing.assert_close(shared["terms.weight"], whole["terms.weight"], rtol=1e-3, atol=1e-4)
    errors = [weights["terms.covariance"].diagonal().sqrt() for weights in (shared, whole)]
    torch.testing.assert_close(*errors, rtol=1e-2, atol=0)


@pytest.mark.parametrize("way", ["shared", "sent", "no room", "more than few", "shared, by rows", "sent, by rows"])
def test_all_models_learn_alike_in_both_processes_and_in_one(way: str, found: list[dict[str, Any]]) -> None:
    one, other = (each[way] for each in found)
    assert one == other
    settings = together.BY_ROWS if way.endswith("by rows") else together.NONE
    assert one == pytest.approx(together.learned(ALONE, 16, settings), rel=1e-4)


def test_a_lost_process_ends_the_others_and_the_training_goes_on_exactly(
    home: Path, lost: tuple[int, str, str], found: list[dict[str, Any]]
) -> None:
    code, _, told = lost
    assert code == 2, told
    assert len([line for line in told.splitlines() if line.startswith("error: another process")]) == 1
    one, other = (load_file(home / name / "agent.safetensors") for name in ("lost", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_first_process_that_dies_while_it_writes_leaves_what_was_written_before(torn: Torn) -> None:
    """Torchrun ends the other one, which may be quicker to see for itself that it is alone."""
    assert torn.code
    (told,) = (line for line in torn.told.splitlines() if line.startswith("error: "))
    assert told == "error: terminated" or told.startswith("error: another process of the training is gone (")
    temporary, *whole = torn.files
    assert temporary.startswith(".checkpoint.safetensors.")
    assert whole == ["checkpoint.safetensors", "metrics.jsonl", "tensorboard", "training.json"]
    assert torn.progress["unit"] == 2


def test_a_training_whose_first_process_died_goes_on_exactly(home: Path, found: list[dict[str, Any]]) -> None:
    assert not list((home / "torn").glob(".*"))
    one, other = (load_file(home / name / "agent.safetensors") for name in ("torn", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    figures = [losses(home / name, "agent/loss", "agent/validation") for name in ("torn", "whole")]
    assert figures[0] == figures[1]


@pytest.mark.parametrize(
    ("signal", "told"),
    [
        ("SIGKILL", r"is gone \(.*\)"),
        ("SIGSTOP", r"does not answer within wait_minutes \(Timed out waiting 12000ms .*\)"),
    ],
)
def test_the_other_process_says_what_became_of_the_first(signal: str, told: str, home: Path) -> None:
    options = together.options({**LOST, "wait_minutes": 0.2})
    command = ["train", home / "log.parquet", "--recipe", "pg", "--out", home / signal, *options]
    first, second = launch([FAILING, signal, *command])
    _, text = second.communicate(timeout=240)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert re.fullmatch(rf"error: another process of the training {told}; go on with --resume\n", text), text
    assert load_file(home / signal / "checkpoint.safetensors")


def test_another_number_of_processes_cannot_go_on(home: Path, found: list[dict[str, Any]]) -> None:
    with pytest.raises(UserError, match="processes=2, found 1"):
        irecgan.train(home / "log.parquet", recipe="pg", out=home / "lost", settings=LOST, resume=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("seeds", "seed: found '{rank}' in process {rank} of 2 and something else in another"),
        ("latent", "recipe latent: found 2 processes; it is fitted by one"),
    ],
)
def test_what_processes_cannot_do_together_is_refused_in_all(
    name: str, message: str, home: Path, found: list[dict[str, Any]]
) -> None:
    for rank, each in enumerate(found):
        assert each[name].startswith(message.format(rank=rank))
    assert not (home / name).exists()


def test_every_row_of_a_batch_falls_to_one_process_and_all_have_as_much_to_do() -> None:
    rows, lengths = torch.tensor([5, 3, 8, 1, 9]), torch.tensor([2, 6, 1, 1, 2])
    shares = [Processes(rank, 3).share(rows, lengths) for rank in range(3)]
    assert [mine.tolist() for mine, _ in shares] == [[8, 1, 5], [9], [3]]
    assert [weight for _, weight in shares] == [3 / 5, 1 / 5, 1 / 5]
    empty, weight = Processes(2, 3).share(rows[:1], lengths[:1])
    assert (empty.tolist(), weight) == ([5], 0.0)
    whole, weight = ALONE.share(rows, lengths)
    assert (whole.tolist(), weight) == (rows.tolist(), 1.0)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=70), st.integers(2, 5))
def test_shares_part_a_batch(lengths: list[int], size: int) -> None:
    rows = torch.arange(len(lengths)) * 3
    shares = [Processes(rank, size).share(rows, torch.tensor(lengths)) for rank in range(size)]
    real = [mine for mine, weight in shares if weight]
    assert torch.equal(torch.cat(real).sort().values, rows)
    assert sum(weight for _, weight in shares) == pytest.approx(1)
    steps = [sum(lengths[row // 3] for row in mine.tolist()) for mine in real]
    assert max(steps) <= sum(lengths) / size + max(lengths)


def test_portions_add_up() -> None:
    assert [Processes(rank, 3).portion(11) for rank in range(3)] == [4, 4, 3]
    assert [Processes(rank, 3).portion(2) for rank in range(3)] == [1, 1, 1]


def test_what_cannot_be_split_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="train_best: found 2 processes"):
        train_best(small_log(), out=tmp_path / "run", recipe="pg")
