import torch
from torch import Tensor

from irecgan.training.latent.expectation import Expectation
from irecgan.training.latent.priors import Ranks, attraction

ITEMS = 20


def counted(attractive: Tensor, times: float = 200.0) -> Expectation:
    """One state in which each item of ``attractive`` (n,), those below 0 left out, was a candidate so often."""
    shown = attractive >= 0
    candidate = torch.cat([times * shown.double(), torch.zeros(1)])[None]
    click = candidate * torch.cat([attractive.clamp(min=0).double(), torch.zeros(1)])
    # A slate's weight is that of its one item: what is expected of `showing` in a world of slates of one item.
    showing = torch.where(candidate > 0, candidate / torch.cat([attractive.abs().double(), torch.ones(1)]), 0.0)
    nothing = torch.zeros(1)
    return Expectation(
        log_likelihood=0.0,
        state=torch.ones(1, 1),
        start=torch.ones(1),
        moves=torch.zeros(ITEMS + 1, 1, 1),
        candidate=candidate,
        click=click,
        showing=showing,
        shown=candidate,
        place=torch.zeros(2, 1, ITEMS + 1),
        reward=click,
        leave=torch.zeros(1, 2),
        kind=nothing[None],
    )


def means(attractive: Tensor) -> Tensor:
    """The mean attractiveness that the ranks 0, 1, ... foretell. (n,)"""
    rank = torch.arange(ITEMS + 1).double()[None]
    mean, _ = attraction(counted(attractive), Ranks(rank, torch.ones_like(rank)))
    return mean[0, :-1]


def test_a_line_through_all_items_is_found() -> None:
    truth = 0.9 - 0.7 * torch.arange(ITEMS) / ITEMS
    torch.testing.assert_close(means(truth), truth.double(), atol=0.03, rtol=0)


def test_items_never_shown_lie_between_those_shown_and_nothing_however_steep_the_log_is() -> None:
    """The first two and some of the middle are shown; a straight line through them would pass 0 at rank 8."""
    truth = torch.full((ITEMS,), -1.0)
    truth[:2], truth[5:7] = 0.9, 0.35
    found = means(truth)
    assert (found[7:19] > 0.03).all()
    assert (found.diff() <= 0).all()
    torch.testing.assert_close(found[13], found[0] * (1 - 13 / (ITEMS + 1)))  # it ends at 0


def test_ranks_that_mean_nothing_give_a_flat_line() -> None:
    found = means(torch.full((ITEMS,), 0.5))
    torch.testing.assert_close(found, torch.full_like(found, 0.5), atol=0.01, rtol=0)
