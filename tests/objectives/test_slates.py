import itertools
import math

import pytest
import torch
from torch import Tensor

from irecgan.objectives.slates import ordered_log_likelihood, set_log_likelihood
from irecgan.policies.ranking import slate_log_probability

CHANCE = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def set_of(scores: Tensor, slate: Tensor, shown: Tensor, one: int = 0) -> Tensor:
    """By the log-probability of item ``one``."""
    found = scores.gather(1, slate)
    return set_log_likelihood(scores.log_softmax(1)[:, one], scores[:, one], found, shown)


def test_both_by_hand() -> None:
    scores, slate = (7 + CHANCE.log())[None], torch.tensor([[2, 0]])  # a shift changes nothing
    shown = torch.ones_like(slate, dtype=torch.bool)
    assert float(set_of(scores, slate, shown)) == pytest.approx(math.log(0.2 * 0.5) / 2)
    assert float(ordered_log_likelihood(scores, slate, shown)) == pytest.approx(math.log(0.2 * 0.5 / 0.8) / 2)


def test_any_one_item_gives_the_partition_of_a_set() -> None:
    scores, slate = CHANCE.log()[None], torch.tensor([[2, 1]])
    shown = torch.ones_like(slate, dtype=torch.bool)
    torch.testing.assert_close(set_of(scores, slate, shown, one=0), set_of(scores, slate, shown, one=2))


def test_ordered_slates_have_the_chances_of_draws_without_replacement() -> None:
    scores = torch.randn(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slates = torch.tensor(list(itertools.permutations(range(5), 3)))
    every = scores.expand(len(slates), -1)
    found = 3 * ordered_log_likelihood(every, slates, torch.ones_like(slates, dtype=torch.bool))
    assert float(found.exp().sum()) == pytest.approx(1)
    torch.testing.assert_close(found, slate_log_probability(every, slates))


@pytest.mark.parametrize("likelihood", [set_of, ordered_log_likelihood])
def test_what_is_not_shown_counts_for_nothing(likelihood: object) -> None:
    scores = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    slate = torch.tensor([[1, 3, 0], [2, 0, 0], [0, 0, 0]])
    shown = torch.tensor([[True, True, False], [True, False, False], [False] * 3])
    found = likelihood(scores, slate, shown)  # type: ignore[operator]
    alone = likelihood(scores[:1], slate[:1, :2], shown[:1, :2])  # type: ignore[operator]
    torch.testing.assert_close(found[:1], alone)
    torch.testing.assert_close(found[1], scores.log_softmax(1)[1, 2])
    assert float(found[2].detach()) == 0
    (gradient,) = torch.autograd.grad(found.sum(), scores)
    assert bool(gradient.isfinite().all())
    assert not gradient[2].any()


def test_a_whole_catalogue_in_order_has_finite_gradients() -> None:
    scores, slate = CHANCE.log()[None].requires_grad_(), torch.tensor([[0, 1, 2]])
    found = ordered_log_likelihood(scores, slate, torch.ones_like(slate, dtype=torch.bool))
    assert float(3 * found.detach()) == pytest.approx(math.log(0.5 * 0.3 / 0.5))
    (gradient,) = torch.autograd.grad(found.sum(), scores)
    assert bool(gradient.isfinite().all())


def test_gradients_agree_with_finite_differences() -> None:
    scores = torch.randn(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    slate, shown = torch.tensor([[1, 3], [2, 0]]), torch.tensor([[True, True], [True, False]])
    assert torch.autograd.gradcheck(lambda x: set_of(x, slate, shown), scores)
    assert torch.autograd.gradcheck(lambda x: ordered_log_likelihood(x, slate, shown), scores)


def test_a_set_is_best_foretold_by_how_often_its_items_are_shown() -> None:
    """The optimum of the surrogate is pi(j) in proportion to the weight of the slates that hold j."""
    slate, weight = torch.tensor([[0, 1], [0, 2], [1, 2]]), torch.tensor([3.0, 2.0, 1.0])
    scores = torch.tensor([5.0, 4.0, 3.0]).log().requires_grad_()  # 3 + 2, 3 + 1, 2 + 1
    shown = torch.ones_like(slate, dtype=torch.bool)
    loss = (weight * set_of(scores.expand(3, -1), slate, shown)).sum()
    (gradient,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(gradient, torch.zeros(3), atol=1e-6, rtol=0)
