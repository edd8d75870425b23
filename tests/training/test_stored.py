"""Sessions on disk, and trainings that go on in the middle of an epoch."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import irecgan
from irecgan.data.batch import Joined, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.data.stored import stored
from irecgan.training.data import TrainingData
from irecgan.training.journal import Journal
from irecgan.training.metrics import read_metrics
from random_sessions import FIELDS
from small_logs import TINY, small_log


def encoded(sessions: int = 60) -> Sessions:
    frame = small_log(sessions).frame.with_columns(
        touched_by_user=pl.col("slate").list.head(2), touched_between=pl.col("slate").list.tail(1)
    )
    log = SessionLog.from_frame(frame)
    return encode(log, Catalogue.from_log(log))


def on_disk(sessions: Sessions, directory: Path, block: int = 8) -> Sessions:
    return stored((sessions.select(rows) for rows in torch.arange(len(sessions)).split(7)), directory, block)


def assert_same(one: Sessions, other: Sessions) -> None:
    for name in FIELDS:
        a, b = getattr(one, name), getattr(other, name)
        assert torch.equal(a.nan_to_num(-1), b.to(a.dtype).nan_to_num(-1)), name


def test_stored_sessions_are_the_sessions_and_leave_no_file(tmp_path: Path) -> None:
    sessions = encoded()
    kept = on_disk(sessions, tmp_path)
    assert_same(sessions, kept)
    rows = torch.tensor([5, 0, 41])
    assert_same(sessions.select(rows), kept.select(rows))
    first, second = sessions.batch(rows), kept.batch(rows)
    for name in ("slate", "shown", "click", "position", "reward", "score", "real", "touched", "visits"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name
        assert getattr(first, name).dtype == getattr(second, name).dtype, name
    catalogue = Catalogue.from_log(small_log())
    one, other = (TrainingData(each, each, True).fingerprint(catalogue) for each in (sessions, kept))
    assert one == other
    assert not list(tmp_path.iterdir())


def test_no_sessions_can_be_stored(tmp_path: Path) -> None:
    assert len(on_disk(encoded().select(torch.arange(0)), tmp_path)) == 0


def test_joined_sessions_are_the_concatenation(tmp_path: Path) -> None:
    first, second = encoded(40), encoded(25)
    joined = Joined((on_disk(first, tmp_path), second), block=8)
    whole = Sessions.concat([first, second])
    assert torch.equal(joined.steps, whole.steps)
    rows = torch.tensor([50, 3, 64, 39, 40])
    for name in ("slate", "click", "reward", "real"):
        assert torch.equal(getattr(joined.batch(rows), name), getattr(whole.batch(rows), name)), name
    assert torch.equal(torch.cat(joined.shuffled(4, torch.Generator().manual_seed(0))).sort().values, torch.arange(65))


@pytest.mark.parametrize("recipe", ["pgis", "acu"])
def test_recipes_learn_from_disk_alike_by_seed(recipe: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        irecgan.train(small_log(), recipe=recipe, out=tmp_path / name, settings={**TINY, "in_memory_steps": 0})
    assert weights(tmp_path / "a").keys()
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return {f"{p.stem}.{key}": value for p in run.glob("*.safetensors") for key, value in load_file(p).items()}


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


def often_kept(softmax: str, in_memory_steps: int) -> dict[str, Any]:
    often = {"batch_size": 16, "patience": 9, "checkpoint_minutes": 0}
    return {**TINY, **often, "in_memory_steps": in_memory_steps, "softmax": softmax}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """A training that nothing interrupts, of each kind of which trainings are killed."""

    @cache
    def run(softmax: str, in_memory_steps: int) -> Path:
        out = tmp_path_factory.mktemp("runs") / "whole"
        settings = {**often_kept(softmax, in_memory_steps), "checkpoint_minutes": None}
        irecgan.train(small_log(), recipe="irecgan", out=out, settings=settings)
        return out

    return run


@pytest.mark.xdist_group("stored")  # whoever has trained a whole one has it for all tests
@pytest.mark.parametrize("in_memory_steps", [0, 1_000])
@pytest.mark.parametrize(("saves", "softmax"), [(9, "full"), (14, "sampled"), (27, "full"), (32, "full")])
def test_a_training_killed_in_the_middle_of_an_epoch_ends_with_the_same_weights(
    saves: int,
    softmax: str,
    in_memory_steps: int,
    whole: Callable[[str, int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, settings = small_log(), often_kept(softmax, in_memory_steps)
    left, learn = [saves], Journal.epoch

    def killed(self: Journal, *args: object) -> float:
        save = self.save

        def once() -> None:
            save()
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        self.save = once
        try:
            return learn(self, *args)  # type: ignore[arg-type]
        finally:
            self.save = save

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            irecgan.train(log, recipe="irecgan", out=tmp_path / "killed", settings=settings)
    irecgan.train(log, recipe="irecgan", out=tmp_path / "killed", settings=settings, resume=True)
    runs = (whole(softmax, in_memory_steps), tmp_path / "killed")
    assert_equal(*map(weights, runs))
    lines = [[{**line, "seconds": 0} for line in read_metrics(run)] for run in runs]
    assert lines[0] == lines[1]


def test_only_what_belongs_to_a_unit_is_done_once() -> None:
    journal, done = Journal(), []

    def work() -> dict[str, float]:
        done.append(1)
        return {"done": float(len(done))}

    journal.part(("speed",), work)
    assert journal.part(("speed",), work) == {"done": 2.0}
    journal.begin()
    assert journal.part(("rounds", 0), work) == journal.part(("rounds", 0), work) == {"done": 3.0}
    journal.begin()
    assert journal.part(("rounds", 0), work) == {"done": 4.0}


def test_stored_and_in_memory_sessions_are_worth_the_same(tmp_path: Path) -> None:
    """Where an epoch is one batch, the order of the sessions decides nothing but the last digits."""
    log = small_log()
    for name, steps in (("disk", 0), ("memory", 10**6)):
        settings = {**TINY, "batch_size": 100, "in_memory_steps": steps}
        irecgan.train(log, recipe="pg", out=tmp_path / name, settings=settings)
    one, other = (weights(tmp_path / name) for name in ("disk", "memory"))
    for key, value in one.items():
        assert torch.allclose(value, other[key], atol=1e-4), key
    digests = [(tmp_path / name / "items.parquet").read_bytes() for name in ("disk", "memory")]
    assert digests[0] == digests[1]
