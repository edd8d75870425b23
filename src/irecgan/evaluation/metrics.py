"""Metrics of a ranked list in which one item was clicked, and of slates in a world that is known."""

import torch
from torch import Tensor

TIE_RULE = "the clicked item ranks behind every other item of the same score"


def hit_rate(rank: Tensor, k: int) -> Tensor:
    """P@k as the paper reports it: 1 where the clicked item is among the first ``k``, else 0. (M,)

    >>> hit_rate(torch.tensor([1, 3, 11]), 10)
    tensor([1., 1., 0.], dtype=torch.float64)
    """
    return (rank <= k).double()


def reciprocal_rank(rank: Tensor) -> Tensor:
    """1 / rank, whose mean is MRR. (M,)

    >>> reciprocal_rank(torch.tensor([1, 4]))
    tensor([1.0000, 0.2500], dtype=torch.float64)
    """
    return 1 / rank.double()


def ndcg(rank: Tensor, k: int) -> Tensor:
    """NDCG@k with one relevant item: 1 / log2(1 + rank) where rank <= k, else 0. (M,)

    >>> ndcg(torch.tensor([1, 3, 11]), 10)
    tensor([1.0000, 0.5000, 0.0000], dtype=torch.float64)
    """
    return torch.where(rank <= k, 1 / torch.log2(1 + rank.double()), 0.0)


def coverage(slate: Tensor, hidden: Tensor, ranking: Tensor, depth: int) -> Tensor:
    """Coverage@1..depth (section 7.1): the share of a state's best r items that stand in the slate. (M, depth)

    >>> ranking = torch.tensor([[2, 0, 1]])  # item 2 is the best of the only state, then item 0
    >>> coverage(torch.tensor([[0, 1]]), torch.tensor([0]), ranking, 2)
    tensor([[0.0000, 0.5000]], dtype=torch.float64)

    Args:
        slate: (M, K) items.
        hidden: (M,) the true state.
        ranking: (m, n) the items of every state, best first.
        depth: the largest r.

    """
    place = ranking.argsort(1)[hidden[:, None], slate]  # (M, K)
    depths = torch.arange(1, depth + 1)
    return (place[:, :, None] < depths).sum(1) / depths.double()
