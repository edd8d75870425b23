"""What ``auto`` should reach, as a share of the ceiling or beside the best fixed recipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.beyond.results import CEILING, FILTER, Panel
from irecgan.experiments.beyond.settings import AUTO
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.verdicts import Verdict

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
    """A goal and what was reached: a share of a ceiling, or a difference of rewards to the best fixed recipe."""

    panel: Panel
    rival: str | None
    goal: float
    found: Interval
    by_filter: Interval | None = None  # the share of the reward of FILTER, where it is known

    @property
    def verdict(self) -> str:
        """Whether the goal was met."""
        return _verdict(self.goal, self.found)

    @property
    def asked(self) -> str:
        """The goal in words."""
        return f"{100 * self.goal:.0f} %" if self.rival is None else "the best fixed recipe"

    @property
    def reached(self) -> str:
        """What was found, in the unit of the goal."""
        return _percent(self.found) if self.rival is None else self.found.text("+.3f")

    @property
    def reached_of_filter(self) -> str:
        """The share of the reward of FILTER, and whether that meets the goal."""
        return "" if self.by_filter is None else f"{_percent(self.by_filter)}, {_verdict(self.goal, self.by_filter)}"

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "log": self.panel.title,
            "goal": self.goal,
            "rival": self.rival,
            "found": self.found.to_json(),
            "verdict": self.verdict,
            "by_filter": None if self.by_filter is None else self.by_filter.to_json(),
        }


def _verdict(goal: float, found: Interval) -> str:
    """Whether a goal was met: by the mean, and by the whole interval."""
    if found.alone:
        return Verdict.OPEN.value
    if found.mean >= goal:
        return "met" if found.low >= goal else "met on average"
    return "missed on average" if found.high >= goal else "missed"


def _percent(share: Interval) -> str:
    return share.text(".1f", times=100, unit=" %")


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
        if share is not None and panel.has(CEILING):
            by_filter = panel.share(AUTO, FILTER) if panel.has(FILTER) else None
            found.append(Goal(panel, None, share, panel.share(AUTO), by_filter))
        if _key(panel) in _AS_THE_BEST and panel.fixed:
            best = panel.fixed[0]
            found.append(Goal(panel, best, 0.0, over_seeds(panel.over(AUTO, best))))
    return found


def _key(panel: Panel) -> tuple[str, str, int]:
    return panel.world[0], panel.log, panel.sessions
