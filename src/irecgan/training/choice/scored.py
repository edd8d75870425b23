"""Held-out lists with the scores of their items."""

from collections.abc import Iterator

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.order import in_order
from irecgan.policies.interface import Scorer

_ROWS = 256


def scored_lists(score: Scorer, sessions: Sessions) -> Iterator[tuple[Tensor, SessionBatch, Tensor]]:
    """The rows (B,) of some sessions, their batch, and its scores (M, K), -inf where no known item is shown.

    Batches without any list are left out.
    """
    for rows in in_order(sessions.steps, _ROWS):
        batch = sessions.batch(rows)
        if not batch.slate.shape[2]:
            continue
        known = batch.shown[batch.real] & (batch.slate[batch.real] < sessions.catalogue_size)
        yield rows, batch, score(batch).masked_fill(~known, -torch.inf)


def of_clicks(batch: SessionBatch, scores: Tensor) -> Tensor:
    """Of ``scores`` (M, K) those of the clicked items; meaningless where nothing was clicked. (M, 1)"""
    return scores.gather(1, batch.position[batch.real].clamp(min=0)[:, None])
