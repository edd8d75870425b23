"""What ``auto`` should reach, as a share of the ceiling or beside the best fixed recipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.beyond.results import CEILING, Panel
from irecgan.experiments.beyond.settings import AUTO
from irecgan.experiments.frame.seeds import over_seeds

_SHARES = {
    ("dirichlet:0.02", "mix", 1_000): 0.80,
    ("dirichlet:0.02", "mix", 10_000): 0.88,
    ("dirichlet:0.02", "max", 1_000): 0.80,
    ("softmax", "mix", 1_000): 0.92,
    ("softmax", "max", 1_000): 0.94,
}
"""Shares of the ceiling in worlds of 10 states, 50 items and slates of 10, by law, log and sessions."""
_AS_THE_BEST = (("dirichlet:0.02", "random", 1_000), ("softmax", "random", 1_000))
"""There nothing but the best fixed recipe is known to be within reach."""


@dataclass(frozen=True)
class Goal:
    """A goal and what was reached: a share of the ceiling, or a difference of rewards to the best fixed recipe."""

    panel: Panel
    rival: str | None
    goal: float
    found: Interval

    @property
    def verdict(self) -> str:
        """Whether the goal was met: by the mean, and by the whole interval."""
        if self.found.mean >= self.goal:
            return "met" if self.found.low >= self.goal else "met on average"
        return "missed on average" if self.found.high >= self.goal else "missed"

    @property
    def asked(self) -> str:
        """The goal in words."""
        return f"{100 * self.goal:.0f} %" if self.rival is None else "the best fixed recipe"

    @property
    def reached(self) -> str:
        """What was found, in the unit of the goal."""
        low, mean, high = (self.found.low, self.found.mean, self.found.high)
        if self.rival is None:
            return f"{100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
        return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "log": self.panel.title,
            "goal": self.goal,
            "rival": self.rival,
            "found": self.found.to_json(),
            "verdict": self.verdict,
        }


def goal_share(panel: Panel) -> float | None:
    """The share of the ceiling that auto should reach; None where no goal was set."""
    return _SHARES.get(_key(panel)) if panel.is_usual else None


def goals(panels: Sequence[Panel]) -> list[Goal]:
    """One for each log that has a goal."""
    found = []
    for panel in panels:
        share = goal_share(panel)
        if AUTO not in panel.rows or not panel.is_usual:
            continue
        if share is not None and CEILING in panel.rows:
            found.append(Goal(panel, None, share, panel.share(AUTO)))
        if _key(panel) in _AS_THE_BEST and panel.fixed:
            best = panel.fixed[0]
            found.append(Goal(panel, best, 0.0, over_seeds(panel.over(AUTO, best))))
    return found


def _key(panel: Panel) -> tuple[str, str, int]:
    return panel.world[0], panel.log, panel.sessions
