"""The policy gradient with importance weights, on sessions of another policy."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from two_clicks import (
    CHANCE,
    CONFIG,
    ITEMS,
    REWARD,
    flat,
    moments,
    policies,
    policy_parameters,
    trajectories,
    with_head,
)

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.models.agent import Agent
from irecgan.objectives.importance import inclusion_log_probability
from irecgan.training.losses import off_policy_gradient, weight_metrics


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


def slates_of_two(shown: Tensor) -> tuple[SessionBatch, Tensor, Tensor]:
    """One-click sessions with slates of two of three items, logged with the chances ``shown`` (3,).

    Also their chances, and the chance of every item to be shown (n,). One item of the slate is the candidate,
    in proportion to CHANCE, and is clicked with CHANCE.
    """
    pairs = torch.tensor(list(itertools.combinations(range(ITEMS), 2)))
    candidate = CHANCE[pairs] / CHANCE[pairs].sum(1, keepdim=True)
    chance = (shown[:, None] * candidate * CHANCE[pairs]).flatten()  # (6,)
    slate = pairs.repeat_interleave(2, 0)
    position = torch.tensor([0, 1]).repeat(len(pairs))
    click = slate.gather(1, position[:, None]).squeeze(1)
    inclusion = torch.zeros(ITEMS, dtype=torch.float64).index_add(0, pairs.flatten(), shown.repeat_interleave(2))
    batch = SessionBatch(
        slate=slate[:, None],
        shown=torch.ones_like(slate[:, None], dtype=torch.bool),
        click=click[:, None],
        position=position[:, None],
        reward=REWARD[click][:, None],
        propensity=inclusion[click][:, None],
        score=torch.ones(6, 1, dtype=torch.float64),
        real=torch.ones(6, 1, dtype=torch.bool),
        catalogue_size=ITEMS,
    )
    return batch, chance, inclusion


UNCAPPED = CONFIG.model_copy(update={"weight_cap": 1e9})
CORRECTED = UNCAPPED.model_copy(update={"top_k_correction": True})
SHOWN = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)


@pytest.mark.parametrize("known", [True, False], ids=["propensities", "behaviour model"])
def test_the_top_k_correction_gives_the_gradient_of_the_chance_to_be_shown(known: bool) -> None:
    """Sum over items of the chance alpha that K draws of pi hold the item, times what it earns where it is shown."""
    agent = with_head("behaviour")
    batch, chance, inclusion = slates_of_two(SHOWN)
    logged = inclusion if known else torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    if not known:
        batch = replace(batch, propensity=torch.full_like(batch.propensity, torch.nan))
        model_clicks_by(agent, logged)
    click = batch.click[:, 0]
    earned = torch.zeros(ITEMS, dtype=torch.float64).index_add(0, click, chance * (1 + CONFIG.lambda_r * REWARD[click]))
    shown = inclusion_log_probability(policies(agent)[0].log(), 2).exp()
    mean, _ = moments(agent, off_policy_gradient, CORRECTED, batch, chance)
    torch.testing.assert_close(-mean, flat(agent, (shown * earned / logged).sum()))


def test_without_the_correction_slates_are_weighed_as_if_the_agent_had_shown_them() -> None:
    """Alpha over the logged chance: Eq. (10) promotes log pi of the clicks that the agent's own slates would get."""
    agent = with_head("behaviour")
    batch, chance, inclusion = slates_of_two(SHOWN)
    click, policy = batch.click[:, 0], policies(agent)[0]
    earned = torch.zeros(ITEMS, dtype=torch.float64).index_add(0, click, chance * (1 + CONFIG.lambda_r * REWARD[click]))
    shown = inclusion_log_probability(policy.log(), 2).exp().detach()
    mean, _ = moments(agent, off_policy_gradient, UNCAPPED, batch, chance)
    torch.testing.assert_close(-mean, flat(agent, (shown * earned / inclusion * policy.log()).sum()))


def model_clicks_by(agent: Agent, logged: Tensor) -> None:
    """Let the behaviour model say ``logged`` (n,) in every state."""
    head = agent.heads["behaviour"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(logged.log())


@pytest.mark.parametrize("corrected", [False, True])
def test_capped_weights_trade_the_gradient_for_a_lower_variance(corrected: bool) -> None:
    """Items that the log hardly shows get weights of up to 8; the lower the cap, the lower the variance."""
    agent = with_head("behaviour")
    batch, chance, _ = slates_of_two(torch.tensor([0.9, 0.05, 0.05], dtype=torch.float64))
    base = CORRECTED if corrected else UNCAPPED
    exact, noise = moments(agent, off_policy_gradient, base, batch, chance)
    for cap in (2.0, 1.0, 0.5):
        mean, variance = moments(agent, off_policy_gradient, base.model_copy(update={"weight_cap": cap}), batch, chance)
        assert variance < noise
        assert float((mean - exact).norm()) > 0.01
        noise = variance


def test_the_share_of_clicks_that_weights_are_worth_and_that_of_capped_ones() -> None:
    agent = with_head("behaviour")
    batch, _, inclusion = slates_of_two(SHOWN)
    weight = (inclusion_log_probability(policies(agent)[0].log(), 2).exp() / inclusion)[batch.click[:, 0]].detach()
    cap = float(weight.median())
    found = weight_metrics(agent, Sessions.from_batch(batch), CONFIG.model_copy(update={"weight_cap": cap}))
    weight = weight.clamp(max=cap)
    assert found["weights/capped_share"] == pytest.approx(float((weight == cap).double().mean()))
    assert found["weights/effective_share"] == pytest.approx(float(weight.sum() ** 2 / (6 * (weight**2).sum())))


def test_of_no_known_click_the_weights_are_worth_nothing() -> None:
    batch, _, _ = slates_of_two(SHOWN)
    unknown = replace(batch, click=torch.full_like(batch.click, ITEMS))
    found = weight_metrics(with_head("behaviour"), Sessions.from_batch(unknown), CONFIG)
    assert found == {"weights/effective_share": 0, "weights/capped_share": 0}
