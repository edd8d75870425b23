import pytest
import torch
from torch import Tensor

from irecgan.objectives import softmax
from irecgan.objectives.softmax import log_partition, log_probability, sampled_log_probability

ITEMS, STATES, WIDTH = 23, 5, 3


@pytest.fixture
def factors() -> tuple[Tensor, Tensor, Tensor]:
    """Queries, a table with two rows more than items, and biases that spread the scores over hundreds."""
    generator = torch.Generator().manual_seed(0)
    query, table = (torch.randn(rows, WIDTH, dtype=torch.float64, generator=generator) for rows in (STATES, ITEMS + 2))
    bias = 100 * torch.randn(ITEMS, dtype=torch.float64, generator=generator)
    for tensor in (query, table, bias):
        tensor.requires_grad_()
    return query, table, bias


@pytest.mark.parametrize("cells", [1, STATES, 4 * STATES + 1, 10**6])
def test_the_sum_in_blocks_is_the_sum(factors: tuple[Tensor, Tensor, Tensor], cells: int) -> None:
    query, table, bias = factors
    expected = (query @ table[:ITEMS].T + bias).logsumexp(1)
    torch.testing.assert_close(log_partition(query, table, bias, ITEMS, cells), expected.detach())
    without = (query @ table[:ITEMS].T).logsumexp(1)
    torch.testing.assert_close(log_partition(query, table, None, ITEMS, cells), without.detach())


@pytest.mark.parametrize("biased", [True, False])
def test_value_and_gradient_are_those_of_the_plain_softmax(
    factors: tuple[Tensor, Tensor, Tensor], biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax, "CELLS", 7 * STATES)  # blocks of 7 items
    query, table, bias = factors
    item, weight = torch.tensor([0, 22, 7, 7, 3]), torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0], dtype=torch.float64)
    logits = query @ table[:ITEMS].T + (bias if biased else 0)
    plain = logits.log_softmax(1).gather(1, item[:, None]).squeeze(1)
    found = log_probability(query, table, bias if biased else None, ITEMS, item)
    torch.testing.assert_close(found, plain)
    inputs = factors if biased else factors[:2]
    expected = torch.autograd.grad((weight * plain).sum(), inputs)
    for true, made in zip(expected, torch.autograd.grad((weight * found).sum(), inputs), strict=True):
        torch.testing.assert_close(made, true)


def test_a_table_that_does_not_learn_gets_no_gradient(factors: tuple[Tensor, Tensor, Tensor]) -> None:
    query, table, bias = factors
    found = log_probability(query, table.detach(), bias, ITEMS, torch.zeros(STATES, dtype=torch.int64))
    found.sum().backward()
    assert query.grad is not None
    assert table.grad is None


def test_with_every_item_drawn_once_the_estimate_is_exact(factors: tuple[Tensor, Tensor, Tensor]) -> None:
    query, table, bias = factors
    item = torch.tensor([0, 22, 7, 7, 3])
    logits = query @ table[:ITEMS].T + bias
    drawn = torch.arange(ITEMS)
    score = logits.gather(1, item[:, None]).squeeze(1)
    found = sampled_log_probability(score, logits[:, drawn], torch.zeros(ITEMS), drawn == item[:, None])
    torch.testing.assert_close(found, logits.log_softmax(1).gather(1, item[:, None]).squeeze(1))


def test_the_sum_over_other_items_is_right_on_average() -> None:
    """By hand: item 0 of 3 with scores log 1, log 2, log 4; one of the others is drawn, with chances .25 and .75."""
    log_expected = torch.tensor([0.0, 0.25, 0.75]).log()
    mean = 0.0
    for drawn, chance in ((1, 0.25), (2, 0.75)):
        others = torch.tensor([[1.0, 2.0, 4.0][drawn]]).log()[None]
        found = sampled_log_probability(torch.zeros(1), others, log_expected[[drawn]], torch.tensor([[False]]))
        mean += chance * float((-found).exp())  # the partition, as the score is 0
    assert mean == pytest.approx(7.0)


def test_the_item_itself_among_the_drawn_counts_once() -> None:
    found = sampled_log_probability(torch.tensor([5.0]), torch.tensor([[5.0]]), torch.zeros(1), torch.tensor([[True]]))
    assert float(found) == 0
