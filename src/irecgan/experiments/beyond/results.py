"""The results of ``beyond`` by log, policy and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.beyond.settings import AUTO, REFERENCES, BeyondCell, WorldCell
from irecgan.experiments.frame.cuts import most_cut
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.study import Json

CEILING = "belief"
"""It knows the world and sees only clicks: no policy that learns from them can be asked for more."""
FILTER = "qmdp"
"""A ceiling that is easier to reach: it filters the same belief but does not plan. Goals were set by one like it."""
SHOWN = "shown"
"""It knows exactly what the panel's log shows, and plans on that."""
STATIC = "static"
"""The best policy that ignores clicks."""
_MATTERS = 1.1
"""History matters where the ceiling earns at least so many times what the best fixed slate does."""

World = tuple[str, int, int, int]  # law, states, items, slate size
_USUAL = (10, 50, 10)


@dataclass(frozen=True)
class Panel:
    """One kind of log: everything that was learned from it, and who stands beside it."""

    world: World
    log: str
    sessions: int
    rows: dict[str, list[Json]]  # by policy: one result for each seed

    @property
    def title(self) -> str:
        """Law, policy that logged and sessions; sizes of the world where they are not those of the simulated test."""
        law, *sizes = self.world
        named = zip(("m", "n", "k"), sizes, _USUAL, strict=True)
        unusual = [f"{name}={size}" for name, size, usual in named if size != usual]
        return " ".join([law, *unusual, self.log, f"{self.sessions:,}"])

    @property
    def is_usual(self) -> bool:
        """Whether the world has the sizes of the simulated test."""
        return self.world[1:] == _USUAL

    @property
    def seeds(self) -> int:
        """Worlds of this kind, each with a log of its own."""
        return len(next(iter(self.rows.values())))

    @property
    def history_matters(self) -> bool:
        """Whether it pays to know what was clicked."""
        return CEILING in self.rows and self.mean(CEILING) > _MATTERS * self.mean(STATIC)

    @property
    def learned(self) -> list[str]:
        """The policies that learned from the log, best first."""
        return sorted((name for name, found in self.rows.items() if "seconds" in found[0]), key=self._worse)

    @property
    def fixed(self) -> list[str]:
        """Those of them that do not choose, best first."""
        return [name for name in self.learned if name != AUTO]

    def ranked(self) -> list[str]:
        """All policies, best first."""
        return sorted(self.rows, key=self._worse)

    def values(self, name: str) -> list[float]:
        """Cumulative rewards of a policy, one for each seed."""
        return [float(result["value"]["mean"]) for result in self.rows[name]]

    def mean(self, name: str) -> float:
        """The mean cumulative reward of a policy."""
        return over_seeds(self.values(name)).mean

    def shares(self, name: str, of: str = CEILING) -> list[float]:
        """A policy's part of the ceiling of its world, one for each seed. Without a ceiling: its reward."""
        values = self.values(name)
        ceilings = self.values(of) if self.has(of) else [1.0] * len(values)
        return [value / ceiling for value, ceiling in zip(values, ceilings, strict=True)]

    def has(self, ceiling: str = CEILING) -> bool:
        """Whether the ``ceiling`` is known of all worlds, and anything at all was earned by who reaches it."""
        return ceiling in self.rows and min(self.values(ceiling)) > 0

    def share(self, name: str, of: str = CEILING) -> Interval:
        """The mean of `shares`."""
        return over_seeds(self.shares(name, of))

    def over(self, name: str, other: str) -> list[float]:
        """What a policy earns more than another, one difference for each seed."""
        return [a - b for a, b in zip(self.values(name), self.values(other), strict=True)]

    def seconds(self, name: str) -> float:
        """Seconds of processor time to fit a policy, mean over seeds."""
        return over_seeds([float(result["seconds"]) for result in self.rows[name]]).mean

    def cuts(self, name: str) -> int:
        """The most sessions of a policy in a world that were cut at the limit."""
        return most_cut(self.rows[name])

    @property
    def cut(self) -> int:
        """The most of any policy."""
        return max(map(self.cuts, self.rows))

    def _worse(self, name: str) -> float:
        return -self.mean(name)


def panels(results: Sequence[tuple[BeyondCell, Json]]) -> list[Panel]:
    """One panel for each kind of log; the references of its worlds stand in each."""
    worlds = sorted(
        ((cell, result) for cell, result in results if isinstance(cell, WorldCell)), key=lambda pair: pair[0].seed
    )
    learned = [cell for cell, _ in worlds if cell.row != REFERENCES]
    found = []
    for world, log, sessions in dict.fromkeys((_world(cell), cell.log, cell.sessions) for cell in learned):
        seeds = {cell.seed for cell in learned if (_world(cell), cell.log, cell.sessions) == (world, log, sessions)}
        rows: dict[str, list[Json]] = {}
        for cell, result in worlds:
            here = cell.row == REFERENCES or (cell.log, cell.sessions) == (log, sessions)
            if here and _world(cell) == world and cell.seed in seeds:
                for name, values in _of_log(result, log).items():
                    rows.setdefault(name, []).append(values)
        found.append(Panel(world, log, sessions, rows))
    return found


def _of_log(result: Json, log: str) -> Json:
    """The rows of ``result`` without those of other logs."""
    named = {name: SHOWN if name == f"{SHOWN} by {log}" else name for name in result}
    return {named[name]: values for name, values in result.items() if not named[name].startswith(f"{SHOWN} by ")}


def _world(cell: WorldCell) -> World:
    return cell.law, cell.states, cell.items, cell.slate_size
