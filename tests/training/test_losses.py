import itertools

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.models.agent import Agent
from irecgan.models.recurrent import Size, initialise
from irecgan.training.config import TrainingConfig
from irecgan.training.losses import policy_gradient

ITEMS = 3
CHANCE = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)  # of a click on the one item shown
REWARD = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
CONFIG = TrainingConfig(gamma=1.0, lambda_r=3.0)


@pytest.fixture
def agent() -> Agent:
    made = Agent(Size(ITEMS, embedding=2, units=3, layers=1)).double()
    initialise(made, torch.Generator().manual_seed(4))
    return made


def policies(agent: Agent) -> tuple[Tensor, Tensor]:
    """Pi of the first step (n,), and of the second after each first click (n, n)."""
    start = agent.start(ITEMS)
    later = agent.advance(start, torch.arange(ITEMS))
    return agent.scores(start)[0].softmax(0), agent.scores(later).softmax(1)


def expected_return(agent: Agent) -> Tensor:
    """The sum of 1 + lambda_r r over at most two clicks, over all that may happen. ()"""
    first, second = policies(agent)
    worth = CHANCE * (1 + CONFIG.lambda_r * REWARD)
    return (first * (worth + CHANCE * (second @ worth))).sum()


def trajectories(agent: Agent) -> tuple[SessionBatch, Tensor]:
    """Every session with a click, and its probability."""
    first, second = policies(agent)
    clicks, chances = [], []
    for a in range(ITEMS):
        clicks.append([a, ITEMS])
        chances.append(first[a] * CHANCE[a] * (second[a] * (1 - CHANCE)).sum())
    for a, b in itertools.product(range(ITEMS), repeat=2):
        clicks.append([a, b])
        chances.append(first[a] * CHANCE[a] * second[a, b] * CHANCE[b])
    click, chance = torch.tensor(clicks), torch.stack(chances).detach()
    clicked = click < ITEMS
    reward = torch.where(clicked, REWARD[click.clamp(max=ITEMS - 1)], 0.0)
    batch = SessionBatch(
        slate=click[..., None],
        shown=clicked[..., None],
        click=click,
        position=torch.where(clicked, 0, NOTHING),
        reward=reward,
        propensity=torch.full_like(reward, torch.nan),
        score=chance[:, None].expand_as(reward),
        real=torch.ones_like(clicked),
        catalogue_size=ITEMS,
    )
    return batch, chance


def test_the_policy_gradient_is_the_gradient_of_the_expected_return(agent: Agent) -> None:
    """Weighing each session by its probability (through q_D) gives the mean of the estimator of Eq. (10)."""
    batch, chance = trajectories(agent)
    assert float(chance.sum()) == pytest.approx(float((policies(agent)[0] * CHANCE).sum().detach()))
    exact = torch.autograd.grad(expected_return(agent), list(agent.parameters()))
    estimate = torch.autograd.grad(policy_gradient(agent, batch, CONFIG) * len(batch), list(agent.parameters()))
    for true, found in zip(exact, estimate, strict=True):
        torch.testing.assert_close(-found, true)


def test_a_step_down_the_loss_raises_the_expected_return(agent: Agent) -> None:
    before = float(expected_return(agent).detach())
    batch, _ = trajectories(agent)
    policy_gradient(agent, batch, CONFIG).backward()
    with torch.no_grad():
        for parameter in agent.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.05 * parameter.grad)
    assert float(expected_return(agent).detach()) > before


def test_clicks_on_unknown_items_teach_the_agent_nothing(agent: Agent) -> None:
    batch, _ = trajectories(agent)
    unknown = SessionBatch(**{**vars(batch), "click": torch.full_like(batch.click, ITEMS)})
    assert float(policy_gradient(agent, unknown, CONFIG).detach()) == 0
