import math

import pytest
import torch

from irecgan.training.negatives import POWER, Proposal

CLICKS = torch.tensor([0, 80, 3, 0, 15, 0, 1, 0, 0, 7])


def counts(proposal: Proposal, draws: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([proposal.draw(generator) for _ in range(draws)])
    return torch.bincount(drawn, minlength=len(CLICKS)) / draws


@pytest.mark.parametrize("size", [1, 3, 6, 9])
def test_items_are_drawn_as_often_as_is_expected(size: int) -> None:
    proposal, draws = Proposal(CLICKS, size), 5_000
    expected = proposal.log_expected.exp()
    assert float(expected.sum()) == pytest.approx(size, abs=1e-4)
    assert float(expected.max()) <= 1 + 1e-6
    torch.testing.assert_close(counts(proposal, draws), expected, atol=4 * 0.5 / math.sqrt(draws), rtol=0)


def test_expectations_follow_the_clicks() -> None:
    expected = Proposal(CLICKS, 1).log_expected.exp()
    weight = (CLICKS.double() + 1) ** POWER
    torch.testing.assert_close(expected, (weight / weight.sum()).float())


def test_what_is_certain_is_drawn_exactly_once() -> None:
    """81^.75 of 46.5 in all: with 6 of 10 the most popular item is certain."""
    proposal = Proposal(CLICKS, 6)
    assert float(proposal.log_expected[1]) == 0
    generator = torch.Generator().manual_seed(1)
    assert all(int((proposal.draw(generator) == 1).sum()) == 1 for _ in range(200))


@pytest.mark.parametrize("size", [10, 1000])
def test_all_items_come_once_where_as_many_are_asked_for(size: int) -> None:
    proposal = Proposal(CLICKS, size)
    assert proposal.draw(torch.Generator().manual_seed(0)).sort().values.tolist() == list(range(10))
    assert not proposal.log_expected.any()
