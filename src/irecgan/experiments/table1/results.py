"""The results of table 1 by log, split, model and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from irecgan.evaluation.first_list import FIRST
from irecgan.evaluation.intervals import Interval
from irecgan.experiments.frame.cuts import most_cut
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.study import Json
from irecgan.experiments.table1.per_session import Pooled
from irecgan.experiments.table1.settings import Table1Cell

RERANK = ("p@1", "p@10", "mrr", "ndcg@10")
WORTH = ("purchases", "clicks")
"""True values, a session: only where the log was simulated."""


@dataclass(frozen=True)
class Part:
    """All models on one split of one log."""

    log: str
    split: str
    rows: dict[str, list[Json]]  # by model: the result of each seed

    @property
    def title(self) -> str:
        """The split in words."""
        return f"{self.log}, split {'at random' if self.split == 'random' else 'by time'}"

    @property
    def has_worth(self) -> bool:
        """Whether the true values are known."""
        return any("worth" in results[0] for results in self.rows.values())

    @property
    def cut(self) -> int:
        """The most sessions of a model in a shop that were cut at the limit."""
        return most_cut(result["worth"] for found in self.rows.values() for result in found if "worth" in result)

    @property
    def by_session(self) -> bool:
        """Whether intervals are over sessions: on a log that is given, which seeds do not draw anew."""
        return all("sessions" in result for results in self.rows.values() for result in results)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What was measured."""
        first = any(self.values(name, FIRST) for name in self.rows)  # no list may be long enough
        return (*RERANK, *((FIRST,) if first else ()), *(WORTH if self.has_worth else ()))

    def values(self, name: str, metric: str) -> list[float]:
        """A metric of a model, one value for each seed; empty where it was not measured."""
        if metric == FIRST:
            found = [Pooled.of([result["sessions"]], metric) for result in self.rows[name] if self.by_session]
            return [pooled.mean for pooled in found if pooled.steps.any()]
        kind = "worth" if metric in WORTH else "rerank"
        return [float(result[kind][metric]["mean"]) for result in self.rows[name] if kind in result]

    def mean(self, name: str, metric: str) -> Interval:
        """The mean over seeds, of a metric that was measured; with an interval over sessions, if there is one."""
        found = self.pooled(name, metric).interval() if self.by_session else over_seeds(self.values(name, metric))
        return found if metric in WORTH else found.within(0.0, 1.0)

    def pooled(self, name: str, metric: str) -> Pooled:
        """What all seeds measured in each session of a log that is given."""
        return Pooled.of([result["sessions"] for result in self.rows[name]], metric)

    def less(self, name: str, other: str, metric: str) -> Interval:
        """By how much a model is above another, with an interval over sessions. Only where `by_session`."""
        return self.pooled(name, metric).minus(self.pooled(other, metric)).interval().within(-1.0, 1.0)

    def differences(self, name: str, other: str, metric: str) -> list[float]:
        """By how much a model is above another: numbers whose mean it is, one for each session or else each seed."""
        if self.by_session:
            return self.pooled(name, metric).minus(self.pooled(other, metric)).shares()
        return [a - b for a, b in zip(self.values(name, metric), self.values(other, metric), strict=True)]

    def ranked(self, metric: str) -> list[str]:
        """The models for which a metric was measured, best first."""
        measured = [name for name in self.rows if self.values(name, metric)]
        return sorted(measured, key=lambda name: (-sum(self.values(name, metric)), -sum(self.values(name, "p@1"))))


def parts(results: Sequence[tuple[Table1Cell, Json]]) -> list[Part]:
    """One entry for each split of each log, models in the order of the table."""
    ordered = sorted(results, key=lambda pair: pair[0].seed)
    found = []
    for log, split in dict.fromkeys((cell.log, cell.split) for cell, _ in results):
        rows: dict[str, list[Json]] = {}
        for cell, result in ordered:
            if (cell.log, cell.split) == (log, split):
                for name, values in result.items():
                    rows.setdefault(name, []).append(values)
        found.append(Part(log, split, rows))
    return found
