"""Slates drawn from large catalogues: by the law of Eq. (4), without noise on every item."""

import torch
from torch import Tensor

_BLOCK = 64
"""Items whose chances are added up together: where a draw falls is found by block, and then within it."""


def drawn_slate(scores: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Items drawn one by one without replacement by the softmax of ``scores``. (B, n) -> (B, K)

    Items are drawn with replacement from the cumulative chances and those that came before are dropped: the
    first K different ones have exactly the law of draws without replacement. Rows in which 2K + 8 draws hold
    fewer go on as `noisy_slate` does, among the items not drawn yet: the same law again.
    """
    drawn = _with_replacement(scores, 2 * size + 8, generator)  # (B, D)
    again = _repeated(drawn)
    order = again.to(torch.int8).argsort(dim=1, stable=True)  # the different ones first, as they came
    slate = drawn.gather(1, order)[:, :size]
    found = (~again).sum(1)  # (B,)
    short = (found < size).nonzero().squeeze(1)
    if len(short):
        slate[short] = _completed(scores[short], slate[short], found[short], generator)
    return slate


def noisy_slate(scores: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """The same law by noise on every item. (B, n) -> (B, K)

    The order of scores + Gumbel noise is distributed exactly as the order of such draws (Kool, van Hoof
    and Welling, 2019, "Stochastic beams and where to find them").
    """
    return noisy(scores, generator).topk(size, dim=1).indices


def noisy(scores: Tensor, generator: torch.Generator) -> Tensor:
    """The scores with Gumbel noise, of their shape."""
    return scores - torch.empty_like(scores).exponential_(generator=generator).log()


def _with_replacement(scores: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Independent draws by the softmax of ``scores``. (B, n) -> (B, D)"""
    sessions, items = scores.shape
    width = -(-items // _BLOCK) * _BLOCK
    weight = scores.new_zeros(sessions, width)
    torch.sub(scores, scores.amax(1, keepdim=True), out=weight[:, :items])
    weight[:, :items].exp_()
    blocks = weight.view(sessions, -1, _BLOCK)
    of_block = blocks.sum(2).double().cumsum(1)  # (B, W)
    point = (
        torch.rand(sessions, draws, dtype=torch.float64, generator=generator, device=scores.device) * of_block[:, -1:]
    )
    block = _place(of_block, point)  # (B, D)
    before = torch.where(block > 0, of_block.gather(1, (block - 1).clamp(min=0)), 0.0)
    row = torch.arange(sessions, device=scores.device)[:, None]
    within = blocks[row, block].double().cumsum(2)  # (B, D, _BLOCK)
    # Sums of a block differ in their last digits as they are added up: what is left of the point is rescaled.
    share = (point - before) / (of_block.gather(1, block) - before)
    place = _place(within, (share * within[..., -1])[..., None]).squeeze(2)
    return block * _BLOCK + place


def _place(ends: Tensor, point: Tensor) -> Tensor:
    """Which of the intervals that end at ``ends`` (..., W) holds each ``point`` (..., D); never an empty one."""
    last = torch.searchsorted(ends, ends[..., -1:].contiguous())  # the first to reach the total: the last not empty
    return torch.searchsorted(ends, point, right=True).minimum(last)


def _repeated(drawn: Tensor) -> Tensor:
    """Which draws of a row came before in it. (B, D) bool"""
    earlier = torch.ones(drawn.shape[1], drawn.shape[1], dtype=torch.bool, device=drawn.device).tril(-1)
    return ((drawn[:, :, None] == drawn[:, None]) & earlier).any(2)


def _completed(scores: Tensor, slate: Tensor, found: Tensor, generator: torch.Generator) -> Tensor:
    """The first ``found`` (R,) items of ``slate`` (R, K), and then others by `noisy_slate`. (R, K)"""
    size = slate.shape[1]
    rank = torch.arange(size, device=slate.device).expand_as(slate)
    kept = rank < found[:, None]
    row = torch.arange(len(slate), device=slate.device)[:, None].expand_as(slate)
    left = scores.clone()
    left[row[kept], slate[kept]] = -torch.inf
    others = noisy_slate(left, size, generator)
    return torch.where(kept, slate, others.gather(1, (rank - found[:, None]).clamp(min=0)))
