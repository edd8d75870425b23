"""The first list of a session in the order of a scorer, against all that the session clicks."""

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.order import in_order
from irecgan.evaluation.offline import SessionTotals
from irecgan.policies.interface import Scorer

FIRST = "first@1"


@torch.no_grad()
def first_list(scorer: Scorer, sessions: Sessions, *, min_candidates: int) -> SessionTotals:
    """Whether the item ranked first in the first list is clicked then or later: 1 or 0 a session, as ``first@1``.

    Sessions count whether they click or not, if their first list is logged and has at least ``min_candidates`` items.
    It is precision at 1 where the clicks of a session are a set, as where the log has lost their order. Ties count
    against a ranking: of several items ranked first, all have to be clicked.
    """
    rows, hits = [], []
    for batch_rows in in_order(sessions.steps, 256):
        batch = sessions.batch(batch_rows)
        used = batch.shown[:, 0].sum(1) >= min_candidates  # (B,)
        begins = (torch.arange(batch.real.shape[1]) == 0).expand_as(batch.real)[batch.real]  # (M,), first steps
        scores = scorer(batch)[begins].masked_fill(~batch.shown[:, 0], -torch.inf)  # (B, K)
        ranked_first = (scores >= scores.max(1, keepdim=True).values) & batch.shown[:, 0]
        hit = (ranked_first <= _clicked(batch)).all(1)  # every one of them is clicked
        rows.append(batch_rows[used])
        hits.append(hit[used].double())
    session, order = torch.cat(rows).sort()
    return SessionTotals(session, torch.ones(len(session), dtype=torch.float64), {FIRST: torch.cat(hits)[order]})


def _clicked(batch: SessionBatch) -> Tensor:
    """Which items of the first list its session clicks; of unknown items, only at the first step. (B, K) bool"""
    slate, click = batch.slate[:, 0], batch.click  # (B, K), (B, T)
    known = (click < batch.catalogue_size) & batch.clicked
    later = ((slate[:, :, None] == click[:, None]) & known[:, None]).any(2)
    return later | (torch.arange(slate.shape[1]) == batch.position[:, :1])
