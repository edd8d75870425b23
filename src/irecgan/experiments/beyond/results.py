"""The results of ``beyond`` by log, policy and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.beyond.settings import REFERENCES, BeyondCell, WorldCell
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.study import Json
from irecgan.training.auto import AUTO

CEILING = "belief"
"""It knows the world and sees only clicks: no policy that learns from them can be asked for more."""
_MATTERS = 1.1
"""History matters where the ceiling earns at least so many times what the best fixed slate does."""

World = tuple[str, int, int, int]  # law, states, items, slate size


@dataclass(frozen=True)
class Panel:
    """One kind of log: everything that was learned from it, and who stands beside it."""

    world: World
    log: str
    sessions: int
    rows: dict[str, list[Json]]  # by policy: one result for each seed

    @property
    def title(self) -> str:
        """The log in words."""
        law, states, items, size = self.world
        return f"{law}, m={states}, n={items}, k={size}: {self.log} log of {self.sessions:,} sessions"

    @property
    def history_matters(self) -> bool:
        """Whether it pays to know what was clicked."""
        return CEILING in self.rows and self.mean(CEILING) > _MATTERS * self.mean("static")

    @property
    def learned(self) -> list[str]:
        """The policies that learned from the log."""
        return [name for name, results in self.rows.items() if "seconds" in results[0]]

    @property
    def candidates(self) -> list[str]:
        """Those that auto chose from."""
        return [candidate["name"] for candidate in self.rows[AUTO][0]["choice"]["candidates"]]

    def values(self, name: str) -> list[float]:
        """Cumulative rewards of a policy, one for each seed."""
        return [float(result["value"]["mean"]) for result in self.rows[name]]

    def mean(self, name: str) -> float:
        """The mean cumulative reward of a policy."""
        return over_seeds(self.values(name)).mean

    def share(self, name: str) -> Interval:
        """A policy's share of the ceiling, paired by world. Without a ceiling: its reward."""
        values = self.values(name)
        ceilings = self.values(CEILING) if CEILING in self.rows else [1.0] * len(values)
        return over_seeds([value / ceiling for value, ceiling in zip(values, ceilings, strict=True)])

    def seconds(self, name: str) -> float:
        """Seconds of processor time to fit a policy, mean over seeds."""
        return over_seeds([float(result["seconds"]) for result in self.rows[name]]).mean

    def ranked(self) -> list[str]:
        """All policies, best first."""
        return sorted(self.rows, key=lambda name: -self.mean(name))

    def chosen(self) -> list[str]:
        """What auto chose, for each seed."""
        return [result["choice"]["chosen"] for result in self.rows[AUTO]]

    def best(self) -> list[str]:
        """The candidate that was truly best, for each seed."""
        by_seed = zip(*(self.values(name) for name in self.candidates), strict=True)
        return [self.candidates[values.index(max(values))] for values in map(list, by_seed)]

    def regret(self) -> Interval:
        """What the choice earns less than the best candidate of its seed."""
        best = map(max, zip(*(self.values(name) for name in self.candidates), strict=True))
        return over_seeds([most - value for most, value in zip(best, self.values(AUTO), strict=True)])


def panels(results: Sequence[tuple[BeyondCell, Json]]) -> list[Panel]:
    """One panel for each kind of log; the references of its world stand in each."""
    worlds = [(cell, result) for cell, result in results if isinstance(cell, WorldCell)]
    ordered = sorted(worlds, key=lambda pair: pair[0].seed)
    logs = dict.fromkeys((_world(cell), cell.log, cell.sessions) for cell, _ in worlds if cell.row != REFERENCES)
    found = []
    for world, log, sessions in logs:
        rows: dict[str, list[Json]] = {}
        for cell, result in ordered:
            if _world(cell) == world and (cell.row == REFERENCES or (cell.log, cell.sessions) == (log, sessions)):
                for name, values in result.items():
                    rows.setdefault(name, []).append(values)
        found.append(Panel(world, log, sessions, rows))
    return found


def _world(cell: WorldCell) -> World:
    return cell.law, cell.states, cell.items, cell.slate_size
