import math

import pytest
import torch

from irecgan.data.batch import NOTHING
from irecgan.objectives.adversarial import discriminator_loss, sequence_score
from irecgan.objectives.behaviour import behaviour_loss, step_log_likelihood
from irecgan.objectives.critic import temporal_difference
from irecgan.objectives.importance import effective_sample_share, inclusion_log_probability, top_k_multiplier
from irecgan.objectives.policy import (
    agent_return,
    generation_return,
    policy_gradient_loss,
    rewards_to_go,
    target_return,
)


def test_rewards_to_go_by_hand() -> None:
    reward = torch.tensor([[1.0, 2.0, 4.0], [3.0, 0.0, 0.0]])
    expected = torch.tensor([[1 + 1 + 1.0, 2 + 2.0, 4.0], [3.0, 0.0, 0.0]])
    torch.testing.assert_close(rewards_to_go(reward, 0.5), expected)


@pytest.mark.parametrize("steps", [0, 1, 33, 100])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_rewards_to_go_are_those_of_the_whole_table_of_discounts(steps: int, gamma: float) -> None:
    reward = torch.randn(7, steps, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    discount = torch.tensor([[gamma ** (u - t) if u >= t else 0.0 for t in range(steps)] for u in range(steps)])
    expected = reward @ discount.double().reshape(steps, steps)
    torch.testing.assert_close(rewards_to_go(reward, gamma), expected, rtol=1e-5, atol=1e-5)


def test_returns_of_equations_8_to_10_by_hand() -> None:
    score = torch.tensor([[0.5, 0.8, 0.9]])
    reward = torch.tensor([[1.0, 0.0, 0.0]])
    clicked = torch.tensor([[True, True, False]])
    torch.testing.assert_close(generation_return(score, clicked, 0.9), torch.tensor([[0.5 + 0.72, 0.8, 0.0]]))
    torch.testing.assert_close(target_return(score, reward, clicked, 0.9), torch.tensor([[0.5, 0.0, 0.0]]))
    expected = torch.tensor([[0.5 * 4 + 0.9 * 0.8, 0.8, 0.0]])
    torch.testing.assert_close(agent_return(score, reward, clicked, 0.9, 3.0), expected)


def test_likelihood_of_equation_3_by_hand() -> None:
    outcome = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]).log()
    got = step_log_likelihood(outcome, torch.tensor([1, NOTHING]), torch.tensor([-2.0, -7.0]), 0.5)
    torch.testing.assert_close(got, torch.tensor([math.log(0.3) - 1.0, math.log(0.1)]))


def test_behaviour_loss_weighs_by_the_score_alone() -> None:
    likelihood = torch.tensor([-1.0, -2.0], requires_grad=True)
    score = torch.tensor([0.25, 1.0], requires_grad=True)
    behaviour_loss(likelihood, score, 2).backward()
    torch.testing.assert_close(likelihood.grad, torch.tensor([-0.125, -0.5]))
    assert score.grad is None


def test_policy_gradient_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0]], requires_grad=True)
    loss = policy_gradient_loss(logits.log_softmax(1)[:, 0], torch.tensor([3.0]), 1)
    loss.backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[-1.5, 1.5]]))


def test_discriminator_loss_by_hand_and_by_sign() -> None:
    logged, generated = torch.tensor([2.0]), torch.tensor([-1.0])
    expected = -math.log(1 / (1 + math.exp(-2))) - math.log(1 - 1 / (1 + math.exp(1)))
    assert float(discriminator_loss(logged, generated)) == pytest.approx(expected, rel=1e-5)
    assert discriminator_loss(logged, generated) < discriminator_loss(generated, logged)


def test_sequence_score_is_the_mean_probability() -> None:
    torch.testing.assert_close(sequence_score(torch.tensor([[0.0, 100.0]])), torch.tensor([0.75]))


def test_gradients_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    def fixed(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    position, rewards, weight = torch.tensor([0, 2, NOTHING]), fixed(3), fixed(3)

    def behaviour(scores: torch.Tensor) -> torch.Tensor:
        return behaviour_loss(step_log_likelihood(scores.log_softmax(1), position, rewards.log(), 0.7), weight, 2)

    assert torch.autograd.gradcheck(behaviour, numbers(3, 4))
    assert torch.autograd.gradcheck(discriminator_loss, (numbers(4), numbers(3)))
    assert torch.autograd.gradcheck(lambda x: policy_gradient_loss(x, weight, 2), numbers(3))
    assert torch.autograd.gradcheck(
        lambda q: agent_return(q, torch.ones(2, 3, dtype=torch.float64), position[None] != 9, 0.9, 3.0), numbers(2, 3)
    )


def test_weights_are_taken_as_given() -> None:
    """No gradient flows into q_D or the return: they would be lowered instead of the sessions improved."""
    score = torch.rand(3, requires_grad=True)
    likelihood = torch.randn(3, requires_grad=True)
    for loss in (behaviour_loss(likelihood, score, 1), policy_gradient_loss(likelihood, score, 1)):
        (gradient,) = torch.autograd.grad(loss, score, allow_unused=True)
        assert gradient is None


def test_temporal_differences_by_hand() -> None:
    value, reward = torch.tensor([[2.0, 3.0, 5.0]]), torch.tensor([[1.0, 4.0, 0.0]])
    clicked = torch.tensor([[True, True, False]])
    found = temporal_difference(value, reward, clicked, 0.5)
    torch.testing.assert_close(found, torch.tensor([[1 + 1.5 - 2, 4 + 2.5 - 3, 0.0]]))
    alone = temporal_difference(value[:, :1], reward[:, :1], clicked[:, :1], 0.5)
    torch.testing.assert_close(alone, torch.tensor([[1.0 - 2.0]]))


def test_the_top_k_multiplier_is_the_derivative_of_the_inclusion() -> None:
    """d log alpha / d log pi = (alpha's lambda_K) pi / alpha, so lambda_K = d alpha / d pi."""
    pi = torch.tensor([0.05, 0.3, 0.8], dtype=torch.float64, requires_grad=True)
    alpha = inclusion_log_probability(pi.log(), 4).exp()
    (slope,) = torch.autograd.grad(alpha.sum(), pi)
    torch.testing.assert_close(top_k_multiplier(pi.log(), 4), slope)


def test_equal_weights_waste_no_sample() -> None:
    assert float(effective_sample_share(torch.full((5,), 0.3))) == pytest.approx(1)
    assert float(effective_sample_share(torch.tensor([1.0, 0.0, 0.0, 0.0]))) == pytest.approx(1 / 4)
