"""Verdicts on claims: paired differences over seeds, tested, with a correction for many comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy import stats

from irecgan.evaluation.intervals import Interval

LEVEL = 0.05
_SAME = 1e-9  # a spread below this share of the mean is rounding


class Verdict(StrEnum):
    """What the tests say of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "not decided"


@dataclass(frozen=True)
class Comparison:
    """One difference that a claim says is positive, measured once for each seed.

    Attributes:
        claim: the claim it belongs to.
        label: what is compared, and where.
        differences: one for each seed; the same seed means the same world, log and evaluation draws.
        worthwhile: the smallest difference that would matter.

    """

    claim: str
    label: str
    differences: Sequence[float]
    worthwhile: float


@dataclass(frozen=True)
class Tested:
    """A comparison with its paired t test: 95 % interval, and p after Holm's correction over its claim."""

    comparison: Comparison
    mean: float
    low: float
    high: float
    p: float
    level: float = LEVEL

    @property
    def alone(self) -> bool:
        """Whether there is one difference alone, which has no interval and decides nothing."""
        return len(self.comparison.differences) < 2

    @property
    def interval(self) -> Interval:
        """The mean difference with its 95 % interval."""
        return Interval(self.mean, self.low, self.high, alone=self.alone)

    def __str__(self) -> str:
        """The difference with its interval and p; one difference alone has neither."""
        return self.interval.text("+.3f") + ("" if self.alone else f", p {self.p:.3g}")

    @property
    def verdict(self) -> Verdict:
        """Holds: positive beyond doubt. Fails: negative beyond doubt, or no difference that would matter."""
        if self.p < self.level:
            return Verdict.HOLDS if self.mean > 0 else Verdict.FAILS
        return Verdict.FAILS if self.high < self.comparison.worthwhile else Verdict.OPEN

    def to_json(self) -> dict[str, Any]:
        """All numbers, and the verdict."""
        return {
            "claim": self.comparison.claim,
            "comparison": self.comparison.label,
            "seeds": len(self.comparison.differences),
            **self.interval.to_json(),
            "p": self.p,
            "verdict": self.verdict.value,
        }


@dataclass(frozen=True)
class Judged:
    """A claim and the tests behind its verdict."""

    claim: str
    tests: Sequence[Tested]

    @property
    def verdict(self) -> Verdict:
        """Holds only if every comparison holds; fails as soon as one fails."""
        verdicts = {test.verdict for test in self.tests}
        if verdicts == {Verdict.HOLDS}:
            return Verdict.HOLDS
        return Verdict.FAILS if Verdict.FAILS in verdicts else Verdict.OPEN

    @property
    def count(self) -> str:
        """How many of its comparisons hold, fail and are open."""
        numbers = [sum(test.verdict == verdict for test in self.tests) for verdict in Verdict]
        return f"{numbers[0]} hold, {numbers[1]} fail, {numbers[2]} open"

    def to_json(self) -> dict[str, Any]:
        """The claim, its verdict and its tests."""
        return {"claim": self.claim, "verdict": self.verdict.value, "tests": [test.to_json() for test in self.tests]}


def judge(comparisons: Sequence[Comparison], level: float = LEVEL) -> list[Judged]:
    """Test the comparisons of each claim as one family, and judge the claim by them at ``level``."""
    claims: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        claims.setdefault(comparison.claim, []).append(comparison)
    return [Judged(claim, _tested(family, level)) for claim, family in claims.items()]


def _tested(family: Sequence[Comparison], level: float) -> list[Tested]:
    found = [_paired(comparison.differences) for comparison in family]
    corrected = holm([p for *_, p in found])
    return [
        Tested(comparison, mean, low, high, p, level)
        for comparison, (mean, low, high, _), p in zip(family, found, corrected, strict=True)
    ]


def holm(p: Sequence[float]) -> list[float]:
    """P values that bound the chance of any false finding (Holm, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=float)
    order = values.argsort()
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)) if len(values) else values
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in corrected]


def _paired(differences: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean, 95 % interval and two-sided p of a paired t test.

    One seed decides nothing; several that all differ alike decide for certain, as would any smaller spread.
    """
    values = np.asarray(differences, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, -np.inf, np.inf, 1.0
    if np.ptp(values) <= _SAME * abs(mean):
        return mean, mean, mean, 1.0 if mean == 0 else 0.0
    test = stats.ttest_1samp(values, 0.0)
    interval = test.confidence_interval(1 - LEVEL)
    return mean, float(interval.low), float(interval.high), float(test.pvalue)
