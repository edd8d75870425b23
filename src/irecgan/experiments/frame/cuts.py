"""Sessions that were cut at the limit: warnings, and a note in reports."""

from collections.abc import Iterable, Mapping
from typing import Any

from irecgan.evaluation.online import warn_of_cuts
from irecgan.simulation import LONGEST


def most_cut(results: Iterable[Mapping[str, Any]]) -> int:
    """The most sessions of one policy in one world that were cut; cells of earlier versions do not say."""
    return max((int(result.get("cut", 0)) for result in results), default=0)


def cut_notes(cuts: Mapping[str, int]) -> list[str]:
    """One sentence that names those of ``cuts``, by title, in which sessions were cut; none where none was."""
    titles = "; ".join(title for title, cut in cuts.items() if cut)
    if not titles:
        return []
    return [
        f"Some sessions were cut after {LONGEST:,} clicks; what would have followed is in exact values alone. "
        f"They were played in: {titles}."
    ]


def told_cuts(cuts: Mapping[str, int], sessions: int) -> list[str]:
    """The notes, with a warning for each title; ``sessions``: played by each policy."""
    for title, cut in cuts.items():
        warn_of_cuts(title, cut, sessions)
    return cut_notes(cuts)
