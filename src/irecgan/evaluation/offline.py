"""The offline rerank test (7.2): every logged list in the order of a scorer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.order import in_order
from irecgan.errors import UserError
from irecgan.evaluation.intervals import Interval, bootstrap_ratios
from irecgan.evaluation.metrics import hit_rate, ndcg, reciprocal_rank
from irecgan.policies.interface import Scorer
from irecgan.policies.ranking import conservative_rank

METRICS: dict[str, Callable[[Tensor], Tensor]] = {
    "p@1": lambda rank: hit_rate(rank, 1),
    "p@10": lambda rank: hit_rate(rank, 10),
    "mrr": reciprocal_rank,
    "ndcg@10": lambda rank: ndcg(rank, 10),
}


@dataclass(frozen=True)
class SessionTotals:
    """Sums of measures over the steps of each of S sessions, in which at least one step was measured."""

    session: Tensor  # (S,) int64, rows of the sessions in their log, rising
    steps: Tensor  # (S,) float64, that were measured
    sums: dict[str, Tensor]  # by measure, (S,) float64 each

    def intervals(self, generator: np.random.Generator) -> dict[str, Interval]:
        """Means over steps, with intervals by resampling sessions; the same resamples for all measures."""
        wide = torch.stack(list(self.sums.values()), dim=1)  # (S, F)
        found = bootstrap_ratios(wide.numpy(), self.steps.numpy(), generator)
        return dict(zip(self.sums, found, strict=True))


@dataclass(frozen=True)
class RerankResult:
    """How well the clicked items rank."""

    metrics: dict[str, Interval]  # by the names of METRICS
    steps: int  # used: clicked, and with enough candidates
    sessions: int  # with such a step
    too_short: int  # clicked steps that were skipped for having too few candidates
    totals: SessionTotals  # what the metrics are means of

    def to_json(self) -> dict[str, Any]:
        """The metrics, ``steps``, ``sessions`` and ``skipped``."""
        intervals = {name: interval.to_json() for name, interval in self.metrics.items()}
        return {**intervals, "steps": self.steps, "sessions": self.sessions, "skipped": self.too_short}


@torch.no_grad()
def rerank(
    scorer: Scorer, sessions: Sessions, *, min_candidates: int, generator: np.random.Generator, name: str = "log"
) -> RerankResult:
    """Rank the clicked item of every step that shows at least ``min_candidates`` items.

    Raises UserError, with the log's ``name``, when no step does.
    """
    ranks, owners, too_short = [], [], 0
    for rows in in_order(sessions.steps, 256):
        batch = sessions.batch(rows)
        real = batch.real
        clicked = batch.clicked[real]  # (M,)
        used = clicked & (batch.shown[real].sum(1) >= min_candidates)
        too_short += int((clicked & ~used).sum())
        if bool(used.any()):
            scores = scorer(batch)[used]
            ranks.append(conservative_rank(scores, batch.shown[real][used], batch.position[real][used]))
            owners.append(rows[real.nonzero()[:, 0]][used])
    if not ranks:
        raise UserError(
            f"{name}: column slate: found no clicked step with at least {min_candidates} items; "
            "expected some, or a lower min_candidates"
        )
    rank, owner = torch.cat(ranks), torch.cat(owners)
    return _summary(rank, owner, too_short, generator)


def _summary(rank: Tensor, owner: Tensor, too_short: int, generator: np.random.Generator) -> RerankResult:
    rows, place = owner.unique(return_inverse=True)
    sums = {
        name: torch.zeros(len(rows), dtype=torch.float64).index_add(0, place, metric(rank))
        for name, metric in METRICS.items()
    }
    totals = SessionTotals(rows, torch.bincount(place).double(), sums)
    return RerankResult(totals.intervals(generator), len(rank), len(rows), too_short, totals)


def logged_order(batch: SessionBatch) -> Tensor:
    """The order in which the log shows the items. (M, K)"""
    shape = batch.slate[batch.real].shape
    return -torch.arange(shape[1]).float().expand(shape)


def random_order(generator: torch.Generator) -> Scorer:
    """Random orders drawn from ``generator``."""

    def scores(batch: SessionBatch) -> Tensor:
        return torch.rand(batch.slate[batch.real].shape, generator=generator)

    return scores
