import itertools
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.models.agent import Agent, Head
from irecgan.models.recurrent import Size, initialise
from irecgan.training.config import TrainingConfig
from irecgan.training.losses import AgentLoss, actor_critic, off_policy_gradient, policy_gradient

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


def test_the_policy_gradient_is_the_gradient_of_the_expected_return(agent: Agent) -> None:
    """Weighing each session by its probability (through q_D) gives the mean of the estimator of Eq. (10)."""
    batch, chance = trajectories(*policies(agent))
    assert float(chance.sum()) == pytest.approx(float((policies(agent)[0] * CHANCE).sum().detach()))
    exact = torch.autograd.grad(expected_return(agent), list(agent.parameters()))
    estimate = torch.autograd.grad(policy_gradient(agent, batch, CONFIG) * len(batch), list(agent.parameters()))
    for true, found in zip(exact, estimate, strict=True):
        torch.testing.assert_close(-found, true)


def test_a_step_down_the_loss_raises_the_expected_return(agent: Agent) -> None:
    before = float(expected_return(agent).detach())
    batch, _ = trajectories(*policies(agent))
    policy_gradient(agent, batch, CONFIG).backward()
    with torch.no_grad():
        for parameter in agent.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.05 * parameter.grad)
    assert float(expected_return(agent).detach()) > before


def test_clicks_on_unknown_items_teach_the_agent_nothing(agent: Agent) -> None:
    batch, _ = trajectories(*policies(agent))
    unknown = replace(batch, click=torch.full_like(batch.click, ITEMS))
    assert float(policy_gradient(agent, unknown, CONFIG).detach()) == 0


def policy_parameters(agent: Agent) -> list[torch.nn.Parameter]:
    return [parameter for name, parameter in agent.named_parameters() if not name.startswith("heads.")]


def with_head(head: Head) -> Agent:
    made = Agent(Size(ITEMS, embedding=2, units=3, layers=1), (head,)).double()
    initialise(made, torch.Generator().manual_seed(4))
    return made


def test_importance_weights_give_the_gradient_under_the_logged_states() -> None:
    """Sessions of a logging policy whose propensities are known; what follows a step is still its doing."""
    agent, logged = with_head("behaviour"), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    batch, _ = trajectories(logged, logged.expand(ITEMS, ITEMS))
    propensity = torch.where(batch.clicked, logged[batch.click.clamp(max=ITEMS - 1)], torch.nan)
    batch = replace(batch, propensity=propensity)
    worth = CHANCE * (1 + CONFIG.lambda_r * REWARD)
    first, second = policies(agent)
    follows = worth + CHANCE * (logged @ worth)
    exact = (first * follows).sum() + ((logged * CHANCE)[:, None] * second * worth).sum()
    config = CONFIG.model_copy(update={"weight_cap": 1e9})
    expected = torch.autograd.grad(exact, policy_parameters(agent))
    found = torch.autograd.grad(off_policy_gradient(agent, batch, config) * len(batch), policy_parameters(agent))
    for true, estimate in zip(expected, found, strict=True):
        torch.testing.assert_close(-estimate, true)


def test_the_behaviour_model_learns_the_logged_clicks() -> None:
    agent = with_head("behaviour")
    logged = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    batch, _ = trajectories(logged, logged.expand(ITEMS, ITEMS))
    before = agent.encoder.embedding.weight.clone()
    likelihood = []
    for _ in range(30):
        agent.zero_grad()
        off_policy_gradient(agent, batch, CONFIG).backward()
        head = agent.heads["behaviour"]
        with torch.no_grad():
            clicked = batch.clicked[batch.real]
            logits, click = head(agent.states(batch))[clicked], batch.click[batch.real][clicked]
            likelihood.append(float(logits.log_softmax(1).gather(1, click[:, None]).mean()))
            for parameter in head.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad)
    assert likelihood[-1] > likelihood[0]
    assert torch.equal(before, agent.encoder.embedding.weight)


@pytest.fixture
def even_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks do not depend on the item: then a baseline is free of bias."""
    monkeypatch.setattr(f"{__name__}.CHANCE", torch.full((ITEMS,), 0.6, dtype=torch.float64))


def spread(agent: Agent, loss: AgentLoss, config: TrainingConfig) -> tuple[list[Tensor], float]:
    """The mean of the estimator over all sessions, and its variance."""
    batch, chance = trajectories(*policies(agent))
    ones = replace(batch, score=torch.ones_like(batch.score))
    singles = []
    for row in range(len(chance)):
        rows = {f.name: getattr(ones, f.name)[row : row + 1] for f in fields(ones) if f.type is Tensor}
        one = loss(agent, SessionBatch(**rows, catalogue_size=ITEMS), config)
        gradient = torch.autograd.grad(one, policy_parameters(agent), allow_unused=True)
        flat = [
            torch.zeros_like(p) if g is None else g for g, p in zip(gradient, policy_parameters(agent), strict=True)
        ]
        singles.append(torch.cat([g.flatten() for g in flat]))
    stacked = torch.stack(singles)
    mean = (chance[:, None] * stacked).sum(0)
    square = (chance[:, None] * stacked**2).sum()
    return [mean], float(square - (mean**2).sum())


@pytest.mark.usefixtures("even_chance")
def test_a_value_leaves_the_mean_of_the_gradient_and_lowers_its_variance() -> None:
    agent = with_head("value")
    head = agent.heads["value"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(6.0 / 100)  # in units of 100 when gamma is 1; returns of a click here are 1 to 14
    config = CONFIG.model_copy(update={"advantage": "mc", "value_weight": 0.0})
    exact = torch.autograd.grad(expected_return(agent), policy_parameters(agent))
    (plain,), noise = spread(agent, policy_gradient, config)
    (based,), less = spread(agent, actor_critic, config)
    torch.testing.assert_close(-plain, torch.cat([g.flatten() for g in exact]))
    torch.testing.assert_close(based, plain)
    assert less < noise


def test_the_value_is_learned_from_returns() -> None:
    agent = with_head("value")
    batch, _ = trajectories(*policies(agent))
    config = CONFIG.model_copy(update={"gamma": 0.5})
    optimiser = torch.optim.Adam(agent.heads.parameters(), lr=0.1)
    losses = []
    for _ in range(100):
        optimiser.zero_grad()
        loss = actor_critic(agent, replace(batch, score=torch.ones_like(batch.score)), config)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
