"""The results of figure 2 by world, log, policy and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.figure2.settings import REFERENCES, Figure2Cell
from irecgan.experiments.frame.cuts import most_cut
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.study import Json

Kind = str
"""``top``: the k best items are shown; ``sampled``: slates are drawn by Eq. (4)."""


@dataclass(frozen=True)
class Panel:
    """One log: everything that was learned from it, and who stands beside it."""

    law: str
    log: str
    sessions: int
    rows: dict[str, dict[Kind, list[Json]]]  # by policy and kind of slates: one result for each seed

    @property
    def title(self) -> str:
        """The log in words."""
        return f"{self.law}, {self.log} log of {self.sessions:,} sessions"

    @property
    def cut(self) -> int:
        """The most sessions of a policy in a world that were cut at the limit."""
        return most_cut(result for kinds in self.rows.values() for found in kinds.values() for result in found)

    def rewards(self, name: str, kind: Kind = "top") -> list[float]:
        """Cumulative rewards of a policy, one for each seed."""
        return [float(result["cumulative_reward"]["mean"]) for result in self.rows[name][kind]]

    def coverage(self, name: str, kind: Kind = "top") -> list[list[float]]:
        """Coverage@1, @2, ... of a policy, a list for each seed."""
        return [list(result["coverage"].values()) for result in self.rows[name][kind]]

    def reward(self, name: str, kind: Kind = "top") -> Interval:
        """The mean cumulative reward of a policy over seeds."""
        return over_seeds(self.rewards(name, kind))

    def mean_coverage(self, name: str, kind: Kind = "top") -> list[Interval]:
        """Coverage@1, @2, ... of a policy, means over seeds."""
        return [over_seeds(values) for values in zip(*self.coverage(name, kind), strict=True)]


def panels(results: Sequence[tuple[Figure2Cell, Json]]) -> list[Panel]:
    """One panel for each log; the policies of reference of its law stand in each."""
    ordered = sorted(results, key=lambda pair: pair[0].seed)
    logs = dict.fromkeys((c.law, c.log, c.sessions) for c, _ in results if c.row != REFERENCES)
    found = []
    for law, log, sessions in sorted(logs, key=lambda found: (found[0], found[2], found[1])):
        rows: dict[str, dict[Kind, list[Json]]] = {}
        for cell, result in ordered:
            if cell.law == law and (cell.row == REFERENCES or (cell.log, cell.sessions) == (log, sessions)):
                for name, kinds in result.items():
                    for kind, values in kinds.items():
                        rows.setdefault(name, {}).setdefault(kind, []).append(values)
        found.append(Panel(law, log, sessions, rows))
    return found
