import pytest
import torch
from torch import Tensor, nn

from irecgan.training.row_adam import RowAdam

ROWS = 6


def sparse(row: Tensor, value: Tensor) -> Tensor:
    shape = (ROWS, *value.shape[1:])
    return torch.sparse_coo_tensor(row[None], value, shape, check_invariants=False).coalesce()


@pytest.mark.parametrize("width", [(), (3,)])
def test_where_every_row_is_read_it_is_adam(width: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    one = nn.Parameter(torch.randn(ROWS, *width, generator=generator))
    other = nn.Parameter(one.detach().clone())
    rows, adam = RowAdam([one], lr=0.1), torch.optim.Adam([other], lr=0.1)
    for _ in range(5):
        gradient = torch.randn(ROWS, *width, generator=generator)
        one.grad, other.grad = sparse(torch.arange(ROWS), gradient), gradient
        rows.step()
        adam.step()
        torch.testing.assert_close(one, other)


def test_rows_that_are_not_read_stay_and_the_others_move_as_in_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    one = nn.Parameter(torch.randn(ROWS, 2, generator=generator))
    other, before = nn.Parameter(one.detach().clone()), one.detach().clone()
    rows, lazy = RowAdam([one], lr=0.1), torch.optim.SparseAdam([other], lr=0.1)
    with torch.sparse.check_sparse_tensor_invariants(False):
        for read in ([0, 2], [2, 4], [0, 4], [2]):
            gradient = torch.randn(len(read), 2, generator=generator)
            one.grad, other.grad = (sparse(torch.tensor(read), gradient) for _ in range(2))
            rows.step()
            lazy.step()
    torch.testing.assert_close(one, other)
    assert torch.equal(one[[1, 3, 5]], before[[1, 3, 5]])
    assert bool((one[[0, 2, 4]] != before[[0, 2, 4]]).all())
