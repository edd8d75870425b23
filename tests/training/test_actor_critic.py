"""The policy gradient with a learned value."""

from dataclasses import fields, replace

import pytest
import torch
import two_clicks
from torch import Tensor
from two_clicks import (
    CHANCE,
    CONFIG,
    ITEMS,
    REWARD,
    expected_return,
    flat,
    moments,
    policies,
    row_of,
    trajectories,
    with_head,
    worths,
)

from irecgan.data.batch import SessionBatch
from irecgan.models.agent import Agent
from irecgan.training.config import TrainingConfig
from irecgan.training.losses import AgentLoss, actor_critic, policy_gradient


@pytest.fixture
def even_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks do not depend on the item, here and in `two_clicks`: then a baseline is free of bias."""
    for module in (__name__, two_clicks.__name__):
        monkeypatch.setattr(f"{module}.CHANCE", torch.full((ITEMS,), 0.6, dtype=torch.float64))


def spread(agent: Agent, loss: AgentLoss, config: TrainingConfig) -> tuple[Tensor, float]:
    """The mean of the estimator over all sessions of the agent's own, and its variance."""
    batch, chance = trajectories(*policies(agent))
    return moments(agent, loss, config, replace(batch, score=torch.ones_like(batch.score)), chance)


@pytest.mark.usefixtures("even_chance")
def test_a_value_leaves_the_mean_of_the_gradient_and_lowers_its_variance() -> None:
    agent = with_head("value")
    head = agent.heads["value"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(6.0 / 100)  # in units of 100 when gamma is 1; returns of a click here are 1 to 14
    config = CONFIG.model_copy(update={"advantage": "mc", "value_weight": 0.0})
    plain, noise = spread(agent, policy_gradient, config)
    based, less = spread(agent, actor_critic, config)
    torch.testing.assert_close(-plain, flat(agent, expected_return(agent)))
    torch.testing.assert_close(based, plain)
    assert less < noise


def exact_values(agent: Agent) -> tuple[Tensor, Tensor]:
    """V of the first state (), and of the second after each first click (n,)."""
    _, second = policies(agent)
    return expected_return(agent).detach(), (second @ worths()).detach()


def with_exact_value() -> Agent:
    """An agent whose value head gives the exact value of every state: 4 states, 3 weights and a bias."""
    agent = with_head("value")
    start = agent.start(ITEMS)
    states = torch.cat([start.top[:1], agent.advance(start, torch.arange(ITEMS)).top]).detach()  # (4, 3)
    first, later = exact_values(agent)
    inputs = torch.cat([states, torch.ones(4, 1, dtype=torch.float64)], dim=1)
    solution = torch.linalg.solve(inputs, torch.cat([first[None], later]) / 100)  # in units of 100, as gamma is 1
    head = agent.heads["value"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.copy_(solution[None, :3])
        head.bias.copy_(solution[3:])
    return agent


def critic(advantage: str) -> TrainingConfig:
    return CONFIG.model_copy(update={"advantage": advantage, "value_weight": 0.0})


@pytest.mark.usefixtures("even_chance")
def test_exact_values_keep_the_gradient_and_each_step_of_them_lowers_its_variance() -> None:
    """One step ahead < whole return with a baseline < REINFORCE."""
    agent = with_exact_value()
    exact = flat(agent, expected_return(agent))
    found = [
        spread(agent, actor_critic, critic("td")),
        spread(agent, actor_critic, critic("mc")),
        spread(agent, policy_gradient, CONFIG),
    ]
    for mean, _ in found:
        torch.testing.assert_close(-mean, exact)
    variances = [variance for _, variance in found]
    assert variances == sorted(variances)
    assert variances[0] < 0.9 * variances[1] < 0.9**2 * variances[2]


@pytest.mark.parametrize("advantage", ["td", "mc"])
def test_a_value_that_only_clicks_are_measured_against_pulls_away_from_clicks(advantage: str) -> None:
    """Where items differ in their chance of a click, AC misses V(s) times the gradient of the chance of a click:
    a slate that nobody clicked has no log pi(c_t), so the baseline's mean is not zero."""
    agent = with_exact_value()
    first, second = policies(agent)
    now, later = exact_values(agent)
    clicked = now * (first * CHANCE).sum() + ((first.detach() * CHANCE * later)[:, None] * second * CHANCE).sum()
    mean, _ = spread(agent, actor_critic, critic(advantage))
    missed = flat(agent, clicked)
    torch.testing.assert_close(-mean, flat(agent, expected_return(agent)) - missed)
    assert float(missed.norm()) > 0.1


@pytest.mark.usefixtures("even_chance")
def test_actor_critic_learns_from_logged_and_generated_sessions_by_their_shares() -> None:
    """ACU: ten logged sessions to one of the agent's own; both gradients are exact, and simply add up."""
    agent = with_exact_value()
    logged = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    first, second = policies(agent)
    now, later = exact_values(agent)
    made, of_made = trajectories(first, second)
    log, of_log = trajectories(logged, logged.expand(ITEMS, ITEMS))
    both = joined(made, log)
    chance = torch.cat([of_made, 10 * of_log]) / 11
    mean, _ = moments(agent, actor_critic, critic("mc"), both, chance)
    follows = 1 + CONFIG.lambda_r * REWARD + logged @ worths()  # after a click, under the log
    steps = (logged * CHANCE * (follows - now) * first.log()).sum()
    pairs = (logged * CHANCE)[:, None] * logged * CHANCE * (1 + CONFIG.lambda_r * REWARD - later[:, None])
    exact = (expected_return(agent) + 10 * (steps + (pairs * second.log()).sum())) / 11
    torch.testing.assert_close(-mean, flat(agent, exact))
    batch_mean = flat(agent, actor_critic(agent, both, critic("mc")))
    singles = [flat(agent, actor_critic(agent, row_of(both, row), critic("mc"))) for row in range(len(both))]
    torch.testing.assert_close(batch_mean, torch.stack(singles).mean(0))


def joined(first: SessionBatch, second: SessionBatch) -> SessionBatch:
    """Both batches, with all scores 1."""
    parts = [replace(batch, score=torch.ones_like(batch.score)) for batch in (first, second)]
    tensors = {f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(first) if f.type is Tensor}
    return SessionBatch(**tensors, catalogue_size=ITEMS, touched=None, context=None, looks=None)


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
