"""The supervised recommender learns what comes next, and nothing where nothing comes next."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import polars as pl
import pytest
import torch
from torch import Tensor

import irecgan
from irecgan.data.batch import SessionBatch
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.models.agent import Agent
from irecgan.models.recurrent import Size, initialise
from irecgan.training.config import TrainingConfig
from irecgan.training.losses import next_click
from irecgan.training.metrics import best_losses
from small_logs import small_log

ITEMS, STEPS = 6, 5
SETTINGS = {"units": 16, "embedding": 8, "layers": 1, "agent_learning_rate": 1e-2, "agent_epochs": 30}
CONFIG = TrainingConfig()


def log_of(clicks: Sequence[Sequence[int]]) -> SessionLog:
    rows = [(s, t, list(range(ITEMS)), click) for s, session in enumerate(clicks) for t, click in enumerate(session)]
    return SessionLog.from_frame(pl.DataFrame(rows, schema=["session_id", "step", "slate", "click"], orient="row"))


def random_clicks(sessions: int, steps: int) -> list[list[int]]:
    drawn: list[list[int]] = torch.randint(
        ITEMS, (sessions, steps), generator=torch.Generator().manual_seed(1)
    ).tolist()
    return drawn


@pytest.fixture
def agent() -> Agent:
    made = Agent(Size(8, embedding=3, units=4, layers=1))
    initialise(made, torch.Generator().manual_seed(2))
    return made


@pytest.fixture
def batch() -> SessionBatch:
    sessions = encode(small_log(20), Catalogue.from_log(small_log(20)))
    return sessions.batch(torch.arange(20))


def test_it_learns_an_order(tmp_path: Path) -> None:
    """From a random first item, each next click is the next item: log 6 in all, one sixth of what is not known."""
    starts = [first for (first,) in random_clicks(200, 1)]
    log = log_of([[(first + t) % ITEMS for t in range(STEPS)] for first in starts])
    policy = irecgan.train(log, recipe="gru4rec", out=tmp_path / "run", settings=SETTINGS)
    for item in range(ITEMS):
        assert policy.recommend([item], 1).items == [(item + 1) % ITEMS]
    assert best_losses(tmp_path / "run")["fit-agent"] == pytest.approx(math.log(ITEMS), abs=0.3)


def test_it_learns_nothing_from_noise(tmp_path: Path) -> None:
    """The negative control: held-out clicks stay as unlikely as all items being alike makes them."""
    log = log_of(random_clicks(200, STEPS))
    policy = irecgan.train(log, recipe="gru4rec", out=tmp_path / "run", settings=SETTINGS)
    assert best_losses(tmp_path / "run")["fit-agent"] > 0.97 * STEPS * math.log(ITEMS)
    assert max(policy.recommend([0]).probabilities) < 2 / ITEMS


def test_what_a_click_earned_is_nothing_to_it(agent: Agent, batch: SessionBatch) -> None:
    richer = replace(batch, reward=batch.reward + 5)
    assert torch.equal(next_click(agent, batch, CONFIG), next_click(agent, richer, CONFIG))


def test_the_loss_of_a_batch_is_the_mean_of_its_sessions_without_padding(agent: Agent, batch: SessionBatch) -> None:
    singles = []
    for row in range(len(batch)):
        steps = int(batch.steps[row])
        tensors = {f.name: getattr(batch, f.name)[row : row + 1, :steps] for f in fields(batch) if f.type is Tensor}
        singles.append(next_click(agent, SessionBatch(**tensors, catalogue_size=batch.catalogue_size), CONFIG))
    torch.testing.assert_close(next_click(agent, batch, CONFIG), torch.stack(singles).mean())


def test_ends_and_unknown_items_teach_nothing(agent: Agent, batch: SessionBatch) -> None:
    unknown = replace(batch, click=torch.full_like(batch.click, batch.catalogue_size))
    assert float(next_click(agent, unknown, CONFIG).detach()) == 0


def test_it_is_judged_by_its_own_likelihood_and_others_by_equation_10(tmp_path: Path) -> None:
    log = small_log(100)
    settings = {**SETTINGS, "agent_epochs": 1, "agent_learning_rate": 1e-9}
    for recipe in ("gru4rec", "pg"):
        irecgan.train(log, recipe=recipe, out=tmp_path / recipe, settings=settings, validation=log)
    clicks = log.frame["click"].count() / log.sessions
    likelihood, gradient = (best_losses(tmp_path / recipe)["fit-agent"] for recipe in ("gru4rec", "pg"))
    assert likelihood == pytest.approx(clicks * math.log(8), rel=0.1)  # an untaught agent finds 8 items alike
    assert gradient > 1.5 * likelihood  # clicks weigh by what follows them
