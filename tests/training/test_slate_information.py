"""Slates that a policy chose by what it knew are told from slates that tell nothing, and learned from only then."""

import logging
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import irecgan
from irecgan.cli import main
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.policies.logging import logging_policies
from irecgan.runs.manifest import Manifest
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.metrics import read_metrics
from irecgan.training.slate_information import ShownCounts, Shows, slate_information
from irecgan.worlds.mdp import draw_world
from small_logs import TINY


def log_of(policy: str, law: str = "dirichlet:0.1", sessions: int = 300, seed: int = 0) -> SessionLog:
    world = draw_world(law, states=4, items=20, slate_size=5, seed=seed)
    return simulated_log(logging_policies(world)[policy], world, sessions, max_length=30, streams=Streams(seed))


def data_of(log: SessionLog) -> TrainingData:
    sessions = encode(log, Catalogue.from_log(log))
    return TrainingData(*hold_out(sessions, 0.2, torch.Generator().manual_seed(0)), log.ends_unclicked)


@pytest.mark.parametrize("law", ["dirichlet:0.1", "softmax"])
@pytest.mark.parametrize("policy", ["max", "mix"])
def test_policies_that_see_the_state_leave_slates_that_tell(policy: str, law: str) -> None:
    finding = slate_information(data_of(log_of(policy, law)), Streams(0))
    assert finding.passed
    assert finding.metrics["slates/information"] > finding.metrics["slates/margin"] > 0


@pytest.mark.parametrize("seed", range(5))
def test_random_slates_tell_nothing(seed: int) -> None:
    """The negative control."""
    finding = slate_information(data_of(log_of("random", seed=seed)), Streams(seed))
    assert not finding.passed
    assert abs(finding.metrics["slates/information"]) < 0.01


def test_popular_items_shown_often_tell_nothing_either() -> None:
    """Slates that are uneven, and the same whatever was clicked."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    weight = torch.arange(1.0, 13.0)
    for session in range(300):
        for step in range(3):
            slate = torch.multinomial(weight, 4, generator=generator).tolist()
            rows.append((session, step, slate, slate[int(torch.randint(4, (1,), generator=generator))]))
    log = SessionLog.from_frame(pl.DataFrame(rows, schema=["session_id", "step", "slate", "click"], orient="row"))
    assert not slate_information(data_of(log), Streams(0)).passed


def test_a_few_sessions_decide_nothing() -> None:
    log = log_of("max", sessions=2)
    finding = slate_information(data_of(log), Streams(0))
    assert not finding.passed
    assert all(abs(value) < float("inf") for value in finding.metrics.values())


def test_chances_by_hand() -> None:
    frame = pl.DataFrame(
        {"session_id": [1, 1, 2], "step": [0, 1, 0], "slate": [["a", "b"], ["b", "c"], ["a"]], "click": ["a", "b", "a"]}
    )
    log = SessionLog.from_frame(frame)
    shows = Shows.of(encode(log, Catalogue.from_log(log)))  # a b and a at the start (4), b c after a (0)
    counts = ShownCounts(shows)
    items = torch.tensor([0, 1, 2])
    marginal = counts.marginal(items, 1.0)
    torch.testing.assert_close(marginal, torch.tensor([3, 3, 2], dtype=torch.float64) / 8)
    given = counts.given(torch.tensor([4, 0, 1]), items, marginal, 2.0)
    torch.testing.assert_close(given, torch.tensor([(2 + 0.75) / 5, (1 + 0.75) / 4, 0.25], dtype=torch.float64))
    assert torch.equal(counts.given(torch.tensor([4, 0, 1]), items, marginal, float("inf")), marginal)
    sums, steps = shows.by_session(torch.ones(5, dtype=torch.float64))
    assert sums.tolist() == steps.tolist() == [2, 1]


def blank_and_shown() -> SessionLog:
    """Of ten sessions two show slates; the others are one step without a click, whose slate is no part of them."""
    first = {"session_id": [0, 0, 1], "step": [0, 1, 0], "slate": [["a", "b"]] * 3, "click": ["a", "b", "a"]}
    blank = {"session_id": range(2, 10), "step": [0] * 8, "slate": [["a", "b"]] * 8, "click": [None] * 8}
    return SessionLog.from_frame(pl.concat([pl.DataFrame(first), pl.DataFrame(blank)], how="vertical_relaxed"))


@pytest.mark.parametrize("shown", [(), (1,)], ids=["held out too", "learned from alone"])
def test_slates_that_are_not_there_tell_nothing(shown: tuple[int, ...]) -> None:
    """The sessions by which the tables are smoothed may be the only ones with slates."""
    sessions = encode(log := blank_and_shown(), Catalogue.from_log(log), final_slates=False)
    blank = torch.arange(2, 10)
    learn, held = torch.cat([torch.tensor(shown, dtype=torch.int64), blank]), torch.tensor([0])
    data = TrainingData(sessions.select(learn), sessions.select(held), final_slates=False)
    for seed in range(20):
        finding = slate_information(data, Streams(seed))
        assert not finding.passed
        assert finding.metrics["slates/information"] == pytest.approx(0)


def test_where_slates_tell_nothing_the_policy_gradient_learns_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = log_of("random", sessions=80)
    with caplog.at_level(logging.WARNING, "irecgan"):
        irecgan.train(log, recipe="slate", out=tmp_path / "slate", settings=TINY)
    irecgan.train(log, recipe="pg", out=tmp_path / "pg", settings=TINY)
    one, other = (load_file(tmp_path / name / "agent.safetensors") for name in ("slate", "pg"))
    assert all(torch.equal(one[key], other[key]) for key in other)
    decision = Manifest.read(tmp_path / "slate").decision
    assert decision is not None
    assert decision.learned == "pg"
    assert "tell nothing" in caplog.text
    assert "pg learns in place of slate" in caplog.text
    assert read_metrics(tmp_path / "slate")[0]["slates/informative"] == 0
    assert Manifest.read(tmp_path / "pg").decision is None


def test_where_they_tell_it_learns_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_of("max").write(tmp_path / "log.parquet")
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    out = tmp_path / "run"
    assert main(["train", str(tmp_path / "log.parquet"), "--recipe", "slate", "--out", str(out), *settings]) == 0
    assert "slates are foretold by clicks" in capsys.readouterr().out
    decision = Manifest.read(out).decision
    assert decision is not None
    assert decision.learned == "slate"
    first = read_metrics(out)[0]
    assert first["phase"] == "check-slates"
    assert decision.figures["slates/information"] == first["slates/information"]
