"""An agent whose sessions have at most two clicks: all of them can be listed, so gradients are known exactly."""

import itertools
from dataclasses import fields

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.models.agent import Agent, Head
from irecgan.models.recurrent import Size, initialise
from irecgan.training.config import TrainingConfig
from irecgan.training.losses import AgentLoss

ITEMS = 3
CHANCE = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)  # of a click on the one item shown
REWARD = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
CONFIG = TrainingConfig(gamma=1.0, lambda_r=3.0)


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


def worths() -> Tensor:
    """What an item earns when it is shown. (n,)"""
    return CHANCE * (1 + CONFIG.lambda_r * REWARD)


def trajectories(first: Tensor, second: Tensor) -> tuple[SessionBatch, Tensor]:
    """Every session with a click, and its probability, when items are shown by ``first`` and ``second``."""
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


def policy_parameters(agent: Agent) -> list[torch.nn.Parameter]:
    return [parameter for name, parameter in agent.named_parameters() if not name.startswith("heads.")]


def with_head(head: Head) -> Agent:
    made = Agent(Size(ITEMS, embedding=2, units=3, layers=1), (head,)).double()
    initialise(made, torch.Generator().manual_seed(4))
    return made


def moments(
    agent: Agent, loss: AgentLoss, config: TrainingConfig, batch: SessionBatch, chance: Tensor
) -> tuple[Tensor, float]:
    """The mean of the estimator over sessions with their chances (B,), and its variance: the sum over parameters."""
    stacked = torch.stack([flat(agent, loss(agent, row_of(batch, row), config)) for row in range(len(chance))])
    mean = (chance[:, None] * stacked).sum(0)
    square = (chance[:, None] * stacked**2).sum()
    return mean, float(square - (mean**2).sum())


def row_of(batch: SessionBatch, row: int) -> SessionBatch:
    rows = {f.name: getattr(batch, f.name)[row : row + 1] for f in fields(batch) if f.type is Tensor}
    return SessionBatch(**rows, catalogue_size=ITEMS)


def flat(agent: Agent, value: Tensor) -> Tensor:
    """The gradient of ``value`` in the parameters of the policy, as one vector."""
    parameters = policy_parameters(agent)
    gradient = torch.autograd.grad(value, parameters, allow_unused=True)
    found = [torch.zeros_like(p) if g is None else g for g, p in zip(gradient, parameters, strict=True)]
    return torch.cat([g.flatten() for g in found])
