"""What was measured in each session of a log that is given: there sessions are drawn by chance, not seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from irecgan.data.columns import SESSION
from irecgan.data.log import SessionLog
from irecgan.evaluation.intervals import Floats, Interval, normal_ratios
from irecgan.evaluation.offline import SessionTotals
from irecgan.experiments.frame.study import Json


def per_session(log: SessionLog, measured: Sequence[SessionTotals]) -> Json:
    """By measure: the ids of the sessions of ``log``, the steps measured in each, and the sums over them."""
    ids = log.frame[SESSION].unique(maintain_order=True)
    return {
        measure: {
            "session": ids.gather(totals.session.numpy()).to_list(),
            "steps": totals.steps.tolist(),
            "sum": sums.tolist(),
        }
        for totals in measured
        for measure, sums in totals.sums.items()
    }


@dataclass(frozen=True)
class Pooled:
    """One measure of S sessions in all repeats together: a session that is in several counts as one."""

    sessions: tuple[str | int, ...]
    steps: Floats  # (S,) measured in each
    sums: Floats  # (S,) of the measure over them

    @classmethod
    def of(cls, repeats: Sequence[Json], measure: str) -> "Pooled":
        """Those that `per_session` told of in each repeat."""
        found = [repeat[measure] for repeat in repeats]
        ids = [session for each in found for session in each["session"]]
        place = {session: i for i, session in enumerate(dict.fromkeys(ids))}
        at = torch.tensor([place[session] for session in ids], dtype=torch.int64)
        steps, sums = (
            torch.zeros(len(place), dtype=torch.float64)
            .index_add(0, at, torch.tensor([value for each in found for value in each[key]], dtype=torch.float64))
            .numpy()
            for key in ("steps", "sum")
        )
        return cls(tuple(place), steps, sums)

    @property
    def mean(self) -> float:
        """Over steps."""
        return float(self.sums.sum() / self.steps.sum())

    def interval(self) -> Interval:
        """The mean over steps, with its interval over sessions, which one session alone does not have."""
        (found,) = normal_ratios(self.sums[:, None], self.steps)
        return found

    def minus(self, other: "Pooled") -> "Pooled":
        """The differences from another measure of the same steps of the same sessions."""
        if other.sessions != self.sessions or not np.array_equal(other.steps, self.steps):
            raise ValueError("found other sessions or steps; expected two measures of the same")
        return Pooled(self.sessions, self.steps, self.sums - other.sums)

    def shares(self) -> list[float]:
        """S numbers whose plain mean is the mean over steps, and whose spread is that of `interval`."""
        offset = (self.sums - self.mean * self.steps) / self.steps.mean()
        return [float(share) for share in self.mean + offset]
