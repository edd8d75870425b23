"""The top-K correction: what is promoted is the chance that a slate holds the click."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.models.agent import Agent
from irecgan.models.recurrent import Size, initialise
from irecgan.training.config import TrainingConfig
from irecgan.training.losses import off_policy_gradient

CONFIG = TrainingConfig(units=3, embedding=2, layers=1, lambda_r=0.0, weight_cap=1e9, top_k_correction=True)


def one_click_sessions(propensity: list[float]) -> SessionBatch:
    """Sessions of a click in a slate of 2 of 4 items, and no end step."""
    sessions = len(propensity)
    slate = torch.tensor([[0, 1], [1, 2], [3, 0]])[:sessions, None]
    ones = torch.ones(sessions, 1)
    return SessionBatch(
        slate=slate,
        shown=torch.ones_like(slate, dtype=torch.bool),
        click=slate[:, :, 0],
        position=torch.zeros(sessions, 1, dtype=torch.int64),
        reward=ones.double(),
        propensity=torch.tensor(propensity, dtype=torch.float64)[:, None],
        score=ones.double(),
        real=ones.bool(),
        catalogue_size=4,
    )


def agent() -> Agent:
    made = Agent(Size(items=4, embedding=2, units=3, layers=1), ("behaviour",)).double()
    initialise(made, torch.Generator().manual_seed(1))
    return made


def test_known_propensities_give_the_gradient_of_the_weighted_inclusion() -> None:
    """Each session then adds alpha / beta, with alpha = 1 - (1 - pi)^2, to what is maximised."""
    model, batch = agent(), one_click_sessions([0.9, 0.4, 0.05])
    pi = model(batch).softmax(1).gather(1, batch.click).squeeze(1)
    exact = ((1 - (1 - pi) ** 2) / batch.propensity.squeeze(1)).mean()
    parameters = list(model.output.parameters())
    found = torch.autograd.grad(off_policy_gradient(model, batch, CONFIG), parameters)
    for true, estimate in zip(torch.autograd.grad(exact, parameters), found, strict=True):
        torch.testing.assert_close(-estimate, true)


def test_a_modelled_logging_policy_gives_the_gradient_of_the_inclusion_over_its_clicks() -> None:
    model, batch = agent(), one_click_sessions([float("nan")] * 3)
    pi = model(batch).softmax(1).gather(1, batch.click).squeeze(1)
    behaviour = model.heads["behaviour"](model.states(batch)).softmax(1).gather(1, batch.click).squeeze(1).detach()
    exact = ((1 - (1 - pi) ** 2) / behaviour).mean()
    parameters = list(model.output.parameters())
    found = torch.autograd.grad(off_policy_gradient(model, batch, CONFIG), parameters)
    for true, estimate in zip(torch.autograd.grad(exact, parameters), found, strict=True):
        torch.testing.assert_close(-estimate, true)


def with_blank_ends(batch: SessionBatch) -> SessionBatch:
    """The same sessions with the step at which each ends, whose slate is not known."""

    def ended(values: Tensor, end: float) -> Tensor:
        return torch.cat([values, torch.full_like(values, end)], dim=1)

    return replace(
        batch,
        slate=ended(batch.slate, 4),
        shown=ended(batch.shown, 0),
        click=ended(batch.click, 4),
        position=ended(batch.position, -1),
        reward=ended(batch.reward, 0),
        propensity=ended(batch.propensity, torch.nan),
        score=ended(batch.score, 1),
        real=ended(batch.real, 1),
    )


@pytest.mark.parametrize("output", ["untied", "tied"])
@pytest.mark.parametrize("propensity", [[0.9, 0.4, 0.05], [float("nan")] * 3], ids=["known", "modelled"])
def test_steps_without_a_slate_add_nothing(output: str, propensity: list[float]) -> None:
    model, batch = agent(), one_click_sessions(propensity)
    config = CONFIG.model_copy(update={"output": output})
    plain, ended = (off_policy_gradient(model, each, config) for each in (batch, with_blank_ends(batch)))
    torch.testing.assert_close(ended, plain)
