from collections.abc import Sequence

import torch
from torch import Tensor, nn

from irecgan.training.gradients import RowGradients, own_gradients, summed_whole


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 2, sparse=True)
        self.bias = nn.Parameter(torch.zeros(5))
        self.rest = nn.Linear(2, 1)


def twice(values: Sequence[Tensor]) -> list[Tensor]:
    """As if another process had found the same."""
    return [torch.cat([value, value]) for value in values]


def test_rows_of_all_are_added_and_those_read_without_weight_are_left_out() -> None:
    model, read, weight = Two(), torch.tensor([1, 1, 3]), torch.tensor([1.0, 2.0, 0.0])
    tables = [*model.table.parameters(), model.bias]
    gradients = RowGradients(own_gradients, tables, twice)
    gradients(lambda: (weight * model.table(read).sum(1)).sum() + 0 * model.rest.weight.sum())
    found = model.table.weight.grad
    assert found is not None
    assert found.indices().tolist() == [[1]]
    assert found.values().tolist() == [[6.0, 6.0]]
    assert model.bias.grad is None  # which no loss reached


def test_tables_are_not_among_what_is_summed_whole() -> None:
    model = Two()
    model.rest.bias.requires_grad_(False)
    (found,) = summed_whole(model, [*model.table.parameters(), model.bias])
    assert found is model.rest.weight
