"""The policy gradient, on clicks and on whole slates."""

from dataclasses import replace

import pytest
import torch
from two_clicks import CHANCE, CONFIG, ITEMS, expected_return, policies, trajectories

from irecgan.models.agent import Agent
from irecgan.models.recurrent import Size, initialise
from irecgan.training.losses import policy_gradient, whole_slate


@pytest.fixture
def agent() -> Agent:
    made = Agent(Size(ITEMS, embedding=2, units=3, layers=1)).double()
    initialise(made, torch.Generator().manual_seed(4))
    return made


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


@pytest.mark.parametrize("kind", ["ordered", "set"])
def test_slates_of_one_item_are_credited_as_clicks_are(agent: Agent, kind: str) -> None:
    batch, _ = trajectories(*policies(agent))
    config = CONFIG.model_copy(update={"slate_likelihood": kind})
    torch.testing.assert_close(whole_slate(agent, batch, config), policy_gradient(agent, batch, CONFIG))


@pytest.mark.parametrize("kind", ["ordered", "set"])
def test_every_item_shown_is_credited_with_what_followed_and_no_unknown_one(agent: Agent, kind: str) -> None:
    config = CONFIG.model_copy(update={"slate_likelihood": kind})
    batch, _ = trajectories(*policies(agent))
    wider = replace(
        batch,
        slate=torch.cat([torch.full_like(batch.slate, ITEMS), batch.slate], dim=2),
        shown=torch.cat([batch.shown, batch.shown], dim=2),
    )
    torch.testing.assert_close(whole_slate(agent, wider, config), whole_slate(agent, batch, config))
    both = replace(wider, slate=torch.cat([(batch.slate + 1) % ITEMS, batch.slate], dim=2))
    before = whole_slate(agent, both, config)
    before.backward()
    with torch.no_grad():
        for parameter in agent.parameters():
            assert parameter.grad is not None
            parameter.sub_(1e-3 * parameter.grad)
        assert float(whole_slate(agent, both, config)) < float(before)


@pytest.mark.parametrize("kind", ["ordered", "set"])
def test_a_batch_without_any_slate_teaches_nothing(agent: Agent, kind: str) -> None:
    batch, _ = trajectories(*policies(agent))
    without = replace(batch, slate=batch.slate[:, :, :0], shown=batch.shown[:, :, :0])
    loss = whole_slate(agent, without, CONFIG.model_copy(update={"slate_likelihood": kind}))
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in agent.parameters())
