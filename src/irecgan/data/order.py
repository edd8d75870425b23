"""The order in which sessions are read: batches of session rows in which lengths are alike."""

import torch
from torch import Tensor

_POOL = 50  # batches whose sessions are sorted by length
_WINDOW = 16  # blocks whose sessions are shuffled among each other


def bucketed(lengths: Tensor, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffled batches of session rows in which lengths are alike, so that little is padding.

    Sessions are shuffled, sorted by length within pools of some batches, cut into batches of
    ``batch_size``, and the batches are shuffled. Every row occurs in exactly one batch.
    """
    order = torch.randperm(len(lengths), generator=generator)
    batches: list[Tensor] = []
    for chunk in order.split(_POOL * batch_size):
        by_length = chunk[lengths[chunk].argsort(stable=True)]
        batches.extend(by_length.split(batch_size))
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def bucketed_blocks(lengths: Tensor, batch_size: int, generator: torch.Generator, block: int) -> list[Tensor]:
    """As `bucketed`, for sessions that are read from disk.

    Blocks of ``block`` neighbours are shuffled, and then the sessions of every 16 blocks among each other: within
    some hundred batches nothing else is looked at. Every row occurs in exactly one batch.
    """
    batches: list[Tensor] = []
    blocks = -(-len(lengths) // block)
    for drawn in torch.randperm(blocks, generator=generator).split(_WINDOW):
        rows = (drawn[:, None] * block + torch.arange(block)).flatten()
        rows = rows[rows < len(lengths)]
        batches.extend(rows[batch] for batch in bucketed(lengths[rows], batch_size, generator))
    return batches


def in_order(lengths: Tensor, batch_size: int) -> list[Tensor]:
    """Batches of session rows sorted by length, for passes in which order does not matter."""
    return list(lengths.argsort(stable=True).split(batch_size))
