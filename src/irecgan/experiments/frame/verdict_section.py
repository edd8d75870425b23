"""Verdicts as a part of a report and as text."""

from collections.abc import Sequence

from irecgan.experiments.frame.report import Section, Table
from irecgan.experiments.frame.verdicts import LEVEL, Judged, Tested
from irecgan.tables import aligned

_TEXT = (
    "Each comparison is a paired t test over {unit}, two-sided at {level:.0f} %, with Holm's correction over the "
    "comparisons of its claim. A comparison holds when the difference is positive beyond doubt; it fails when it is "
    "negative beyond doubt, or when its 95 % interval shows that no difference worth having is there; else it is open. "
    "A claim holds only if all its comparisons do, and fails as soon as one does."
)


def verdict_section(judged: Sequence[Judged], seeds: int, unit: str = "seeds") -> Section:
    """The claims with their verdicts; every test behind them is folded away. ``unit``: what is drawn by chance."""
    level = judged[0].tests[0].level if judged else LEVEL
    rows = [[claim.claim, claim.verdict.value, claim.count] for claim in judged]
    tests = [[test.comparison.claim, *_row(test)] for claim in judged for test in claim.tests]
    return Section(
        "Verdicts",
        f"{_TEXT.format(level=100 * level, unit=unit)} Here: {seeds} seeds.",
        table=Table(["claim", "verdict", "comparisons"], rows),
        details=Table(["claim", "comparison", "difference", "95 % interval", "p (Holm)", "verdict"], tests),
    )


def verdict_text(judged: Sequence[Judged]) -> str:
    """The claims with their verdicts, for a terminal."""
    if not judged:
        return "no claim can be judged by these models"
    rows = [[claim.claim, claim.verdict.value, claim.count] for claim in judged]
    return aligned([["claim", "verdict", "comparisons"], *rows], left=True)


def _row(test: Tested) -> list[str]:
    found = ["", ""] if test.alone else [f"[{test.low:+.3f}, {test.high:+.3f}]", f"{test.p:.3g}"]
    return [test.comparison.label, f"{test.mean:+.3f}", *found, test.verdict.value]
