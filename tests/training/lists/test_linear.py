import math

import pytest
import torch
from torch import Tensor

from irecgan.data.order import in_order
from irecgan.models.batch_view import BatchView
from irecgan.models.terms import Terms, numbers
from irecgan.training.lists.dataset import ClickedLists, within_lists
from irecgan.training.lists.linear import fit_weights, scored
from random_sessions import random_sessions, statistics_of


def pairs(hits: int, of: int) -> ClickedLists:
    """Lists of two items of which the first alone has the feature; ``hits`` clicks out of ``of`` are on it."""
    clicked = torch.arange(of) * 2 + (torch.arange(of) >= hits)
    return ClickedLists(torch.tensor([[1.0], [0.0]]).repeat(of, 1), torch.arange(of + 1) * 2, clicked, of)


def plain(values: Tensor) -> Tensor:
    return values.double()


def test_chances_within_lists_by_hand() -> None:
    lists = ClickedLists(torch.zeros(5, 1), torch.tensor([0, 2, 5]), torch.tensor([1, 2]), 2)
    scores = torch.tensor([1.0, 3.0, 2.0, 4.0, 3.0]).log()
    chance, chosen = within_lists(scores + 1000, lists)
    torch.testing.assert_close(chance, torch.tensor([1 / 4, 3 / 4, 2 / 9, 4 / 9, 3 / 9]), rtol=1e-3, atol=0)
    torch.testing.assert_close(chosen.exp(), torch.tensor([3 / 4, 2 / 9]), rtol=1e-3, atol=0)


@pytest.mark.parametrize("start", [0.0, 5.0])
def test_the_weight_is_the_log_odds_whatever_it_began_with(start: float) -> None:
    weight = fit_weights(pairs(3, 4), plain, 0.0, torch.tensor([start]))
    assert weight.item() == pytest.approx(math.log(3), abs=1e-4)


def test_a_ridge_holds_a_weight_that_nothing_else_does() -> None:
    """All clicks are on the feature: without a prior the weight has no limit. At its best, clicks pull as it does."""
    weight = fit_weights(pairs(4, 4), plain, 2.0, torch.zeros(1))
    assert 4 * (1 - weight.sigmoid()).item() == pytest.approx(2 * weight.item(), abs=1e-4)


def test_rows_are_those_of_the_views_and_weigh_the_same() -> None:
    sessions = random_sessions(1, sessions=300)
    terms, statistics = (
        Terms(["rank", "repeat", "list", "popularity", "click_rate", "co_click"]),
        statistics_of(sessions),
    )
    lists = ClickedLists.of(sessions, terms.features, statistics, own=True)
    assert len(lists) == int((sessions.position >= 0).sum())
    assert lists.sessions == 300
    weight = torch.randn(len(terms.weight), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        terms.weight.copy_(weight)
    expected, values = [], []
    for rows in in_order(sessions.steps, 256):
        batch = sessions.batch(rows)
        view, shown = BatchView(batch, statistics, own=True), (batch.shown & batch.clicked[..., None])[batch.real]
        expected.append(terms(view)[shown])
        values.append(numbers(terms.features, view)[shown])
    assert torch.equal(lists.values, torch.cat(values))
    found = scored(lists, terms.widened, weight.double())
    torch.testing.assert_close(found.float(), torch.cat(expected).detach(), rtol=1e-4, atol=1e-4)
