from dataclasses import replace

import pytest
import torch
from torch import Tensor

from irecgan.objectives.bias import (
    PrefixLaws,
    biases,
    decompose,
    estimated_value,
    expected_discriminator_loss,
    generation_value,
    optimal_discriminator,
)


def numbers(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_laws(seed: int, size: int = 40) -> PrefixLaws:
    """Chances of prefixes, of which each law excludes some."""
    generator = torch.Generator().manual_seed(seed)

    def law() -> Tensor:
        weight = torch.rand(size, dtype=torch.float64, generator=generator)
        weight[torch.rand(size, generator=generator) < 0.3] = 0
        return (weight / weight.sum()).log()

    reward, predicted = torch.rand(2, size, dtype=torch.float64, generator=generator)
    return PrefixLaws(law(), law(), law(), reward, predicted)


def test_biases_by_hand() -> None:
    laws = PrefixLaws(
        policy=numbers([0.2]).log(),
        generated=numbers([0.1]).log(),
        data=numbers([0.4]).log(),
        reward=numbers([0.5]),
        predicted=numbers([0.7]),
    )
    found = biases(laws, 0.5)
    for name, value in {"delta": 0.2, "delta_1": -1.0, "delta_2": 0.5, "weight": 0.5 / 2.5}.items():
        assert float(getattr(found, name)) == pytest.approx(value), name
    # Eq. (12): half of .1 * .4 / .5 * .7, and half of .4 * .5.
    assert float(estimated_value(laws, 0.5)) == pytest.approx(0.5 * 0.056 + 0.5 * 0.2)


@pytest.mark.parametrize("lambda_1", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_biases_add_up_to_equation_12_whatever_the_laws_exclude(seed: int, lambda_1: float) -> None:
    laws = random_laws(seed)
    found = decompose(laws, lambda_1)
    assert float(found.total) == pytest.approx(float(estimated_value(laws, lambda_1)), rel=1e-12)
    assert float(found.value) == pytest.approx(float((laws.policy.exp() * laws.reward).sum()))
    if 0 < lambda_1 < 1:
        assert float(found.unlogged) < 0 < float(found.unplayed)  # without which the sum would be off


def test_with_full_support_nothing_is_added_to_the_papers_terms() -> None:
    laws = random_laws(0)
    laws = laws.take(laws.policy.isfinite() & laws.data.isfinite() & laws.generated.isfinite())
    found = decompose(laws, 0.5)
    assert float(found.unlogged) == float(found.unplayed) == 0
    paper = found.value + found.reward_error + found.data_shift + found.shrinkage
    assert float(paper) == pytest.approx(float(estimated_value(laws, 0.5)), rel=1e-12)


def test_a_perfect_model_is_worth_three_quarters() -> None:
    """With P_g = P_data = P_pi the optimal D is 1/2 everywhere."""
    laws = random_laws(1)
    laws = replace(laws, generated=laws.policy, data=laws.policy, predicted=laws.reward)
    found = decompose(laws, 0.5)
    assert float(estimated_value(laws, 0.5)) == pytest.approx(0.75 * float(found.value), rel=1e-12)
    assert float(found.shrinkage) == pytest.approx(-0.25 * float(found.value), rel=1e-12)
    assert float(found.reward_error) == float(found.data_shift) == 0
    played = laws.policy.isfinite()
    torch.testing.assert_close(biases(laws, 0.5).weight[played], torch.full_like(laws.reward[played], 0.25))


def test_ratios_that_overflow_leave_finite_weights() -> None:
    laws = PrefixLaws(numbers([-10.0]), numbers([-12.0]), numbers([-2000.0]), numbers([1.0]), numbers([1.0]))
    found = biases(laws, 0.5)
    assert float(found.delta_2) == -torch.inf
    assert float(found.weight) == 0
    assert float(decompose(laws, 0.5).total) == pytest.approx(float(estimated_value(laws, 0.5)))


@pytest.mark.parametrize("seed", range(3))
def test_the_optimal_discriminator_minimises_equation_5(seed: int) -> None:
    laws = random_laws(seed)
    possible = laws.data.isfinite() & laws.generated.isfinite()
    data, generated = laws.data[possible], laws.generated[possible]
    best = optimal_discriminator(data, generated).logit().requires_grad_()
    loss = expected_discriminator_loss(best, data, generated)
    (slope,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(slope, torch.zeros_like(slope))
    generator = torch.Generator().manual_seed(seed)
    for scale in (1e-3, 0.1, 3.0):
        other = best.detach() + scale * torch.randn(len(best), dtype=torch.float64, generator=generator)
        assert float(expected_discriminator_loss(other, data, generated)) > float(loss.detach())


def test_the_value_of_equation_11_by_hand() -> None:
    """Two sessions, of one step and of three."""
    generated, data = numbers([0.75, 0.25]).log(), numbers([0.25, 0.75]).log()
    score = optimal_discriminator(data, generated)
    torch.testing.assert_close(score, numbers([0.25, 0.75]))
    expected = 0.75 * 0.25 * 1 + 0.25 * 0.75 * 3
    assert float(generation_value(score, generated, numbers([1, 3]))) == pytest.approx(expected)
