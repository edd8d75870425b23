from typing import Any

import pytest
import torch
from torch import Tensor, nn

from irecgan.training.adam import Adam

ROWS = 6


def sparse(row: Tensor, value: Tensor) -> Tensor:
    shape = (ROWS, *value.shape[1:])
    return torch.sparse_coo_tensor(row[None], value, shape, check_invariants=False).coalesce()


def moved(seed: int, *sizes: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(size, generator=generator)) for size in sizes]


def test_whole_parameters_move_as_in_torch_to_the_bit_and_go_on_from_a_state() -> None:
    mine, other, later = moved(0, 40, 3, 1), moved(0, 40, 3, 1), moved(0, 40, 3, 1)
    ours, resumed = Adam([(mine[:2], 0.1), (mine[2:], 0.03)]), Adam([(later[:2], 0.1), (later[2:], 0.03)])
    groups: list[dict[str, Any]] = [{"params": other[:2]}, {"params": other[2:], "lr": 0.03}]
    torchs = torch.optim.Adam(groups, lr=0.1, fused=True)
    for step in range(6):
        for a, b in zip(mine, other, strict=True):
            a.grad = torch.randn(a.shape, generator=torch.Generator().manual_seed(step))
            b.grad = a.grad.clone()
        if step < 2:  # one that has no gradient yet
            mine[1].grad = other[1].grad = None
        ours.step()
        torchs.step()
        if step == 3:
            resumed.load_state({key: value.clone() for key, value in ours.state().items()})
            ours.learn_at(0.01)
            resumed.learn_at(0.01)
            for group in torchs.param_groups:
                group["lr"] = 0.01
            for a, b in zip(mine, later, strict=True):
                b.data = a.detach().clone()
        if step > 3:
            for a, b in zip(mine, later, strict=True):
                b.grad = a.grad
            resumed.step()
    assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(mine, later, strict=True))


@pytest.mark.parametrize("width", [(), (3,)])
def test_where_every_row_is_read_it_is_adam(width: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    one = nn.Parameter(torch.randn(ROWS, *width, generator=generator))
    other = nn.Parameter(one.detach().clone())
    rows, adam = Adam([([one], 0.1)], by_rows=True), torch.optim.Adam([other], lr=0.1)
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
    rows, lazy = Adam([([one], 0.1)], by_rows=True), torch.optim.SparseAdam([other], lr=0.1)
    with torch.sparse.check_sparse_tensor_invariants(False):
        for read in ([0, 2], [2, 4], [0, 4], [2]):
            gradient = torch.randn(len(read), 2, generator=generator)
            one.grad, other.grad = (sparse(torch.tensor(read), gradient) for _ in range(2))
            rows.step()
            lazy.step()
    torch.testing.assert_close(one, other)
    assert torch.equal(one[[1, 3, 5]], before[[1, 3, 5]])
    assert bool((one[[0, 2, 4]] != before[[0, 2, 4]]).all())
