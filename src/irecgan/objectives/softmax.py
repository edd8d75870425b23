"""Log-probabilities of items under a softmax over a catalogue too large for its scores to be held at once."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CELLS = 1 << 18
"""Scores held at once by default: 1 MB, which stays in a core's cache."""


def log_partition(query: Tensor, table: Tensor, bias: Tensor | None, items: int, cells: int = CELLS) -> Tensor:
    """Log sum_j exp(query . table_j + bias_j) over the first ``items`` rows j, block by block. (M,)

    No more than ``cells`` scores exist at a time. No gradient flows; see `log_probability`.

    Args:
        query: (M, F).
        table: (``items`` or more, F).
        bias: (``items``,), or None for none.
        items: the number of items n.
        cells: scores held at once.

    """
    with torch.no_grad():
        total = query.new_full((len(query),), -torch.inf)
        for _, scores in _blocks(query, table, bias, items, cells):
            total = torch.logaddexp(total, scores.logsumexp(1))
    return total


def log_probability(query: Tensor, table: Tensor, bias: Tensor | None, items: int, item: Tensor) -> Tensor:
    """Log of the softmax of query . table_j + bias_j over all items j, at ``item`` (M,). (M,)

    The value and the gradient of the plain computation, without its (M, n) tables: scores are made block by
    block, and once more for the gradient (Milakov and Gimelshein, 2018, "Online normalizer calculation for
    softmax"). Arguments are as in `log_partition`.
    """
    return _LogProbability.apply(query, table, bias, items, item)  # type: ignore[no-any-return,no-untyped-call]


def sampled_log_probability(score: Tensor, others: Tensor, log_expected: Tensor, hit: Tensor) -> Tensor:
    """An estimate of log softmax at an item, from its score and those of items that were drawn. (M,)

    The sum over all other items is estimated by that over the drawn ones, each over the number of times it was
    expected to be drawn (the correction "logQ"), which is right on average, so that the estimate and its
    gradient become exact as more are drawn (Bengio and Senecal, 2008, "Adaptive importance sampling to
    accelerate training of a neural probabilistic language model"; Yi et al., 2019, "Sampling-bias-corrected
    neural modeling for large corpus item recommendations"). With every item drawn once it is exact.

    >>> score, others = torch.tensor([1.0]), torch.tensor([[1.0, 0.0]])
    >>> sampled_log_probability(score, others, torch.zeros(2), torch.tensor([[True, False]])).exp()
    tensor([0.7311])

    Args:
        score: (M,) of the item in question.
        others: (M, C) of the items drawn.
        log_expected: (C,) log of the number of times each was expected among the C.
        hit: (M, C) bool, where the item drawn is the one in question: it counts once, by ``score``.

    """
    corrected = (others - log_expected).masked_fill(hit, -torch.inf)
    return score - torch.cat([score[:, None], corrected], dim=1).logsumexp(1)


def _blocks(
    query: Tensor, table: Tensor, bias: Tensor | None, items: int, cells: int
) -> Iterator[tuple[slice, Tensor]]:
    """The scores (M, C) of consecutive items, and which items they are."""
    width = max(1, cells // max(1, len(query)))
    for first in range(0, items, width):
        part = slice(first, min(first + width, items))
        yield part, torch.nn.functional.linear(query, table[part], None if bias is None else bias[part])


class _LogProbability(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any, query: Tensor, table: Tensor, bias: Tensor | None, items: int, item: Tensor
    ) -> Tensor:
        total = log_partition(query, table, bias, items)
        ctx.save_for_backward(query, table, bias, item, total)
        ctx.items = items
        score = (query * table[item]).sum(1)
        return (score if bias is None else score + bias[item]) - total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        query, table, bias, item, total = ctx.saved_tensors
        grad = grads[0][:, None]  # (M, 1)
        to_query, to_table, to_bias = ctx.needs_input_grad[:3]
        query_grad = grad * table[item] if to_query else None
        table_grad = torch.zeros_like(table) if to_table else None
        bias_grad = torch.zeros_like(bias) if to_bias else None
        for part, scores in _blocks(query, table, bias, ctx.items, CELLS):
            share = scores.sub_(total[:, None]).exp_().mul_(grad)  # (M, C)
            if query_grad is not None:
                query_grad.addmm_(share, table[part], alpha=-1)
            if table_grad is not None:
                torch.mm(share.T, query, out=table_grad[part]).neg_()
            if bias_grad is not None:
                bias_grad[part] = -share.sum(0)
        if table_grad is not None:
            table_grad.index_add_(0, item, grad * query)
        if bias_grad is not None:
            bias_grad.index_add_(0, item, grad[:, 0])
        return query_grad, table_grad, bias_grad, None, None
