"""Means with 95 % intervals. Sessions are the unit: the steps of one session are not independent."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
_CHUNK = 50  # resamples at once, to bound memory
_Z = 1.959964  # the 97.5 % quantile of the normal distribution

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval; an exact value has ``low = high = mean``."""

    mean: float
    low: float
    high: float
    known: bool = False  # exact, and no estimate at all
    alone: bool = False  # of one value, so that nothing tells how far it may be off

    @classmethod
    def exact(cls, value: float) -> "Interval":
        """A value that is known."""
        return cls(value, value, value, known=True)

    @classmethod
    def single(cls, value: float) -> "Interval":
        """An estimate from one value alone."""
        return cls(value, value, value, alone=True)

    def to_json(self) -> dict[str, float | None]:
        """``mean``, ``low``, ``high``; of one value the last two are None."""
        low, high = (None, None) if self.alone else (self.low, self.high)
        return {"mean": self.mean, "low": low, "high": high}

    def within(self, least: float, most: float) -> "Interval":
        """The same of a number that can only be from ``least`` to ``most``: approximations reach beyond.

        >>> str(Interval(0.9, 0.7, 1.1).within(0, 1))
        '0.900 [0.700, 1.000]'
        """
        return replace(self, low=max(self.low, least), high=min(self.high, most))

    def text(self, form: str = ".3f", *, times: float = 1, unit: str = "") -> str:
        """For people: every number ``times`` so much in the format ``form``, and the ``unit`` after the mean.

        >>> Interval(0.5, 0.25, 0.75).text("+.1f", times=100, unit=" %"), str(Interval(0.5, 0.5, 0.5, alone=True))
        ('+50.0 % [+25.0, +75.0]', '0.500')
        """
        mean, low, high = (format(times * number, form) for number in (self.mean, self.low, self.high))
        if self.known:
            return f"{mean}{unit}  (exact)"
        return f"{mean}{unit}" if self.alone else f"{mean}{unit} [{low}, {high}]"

    def __str__(self) -> str:
        return self.text()


def bootstrap_ratios(totals: Floats, counts: Floats, generator: np.random.Generator) -> list[Interval]:
    """Means over steps of F measures, with percentile intervals by resampling sessions (Efron, 1979).

    One session alone spans no interval.

    Args:
        totals: (S, F) sums of each measure over the steps of each session.
        counts: (S,) the steps of each session, at least one in all.
        generator: draws the resamples.

    """
    sessions, ratios = len(counts), []
    mean = totals.sum(0) / counts.sum()  # (F,)
    if sessions < 2:
        return [Interval.single(float(m)) for m in mean]
    for _ in range(0, RESAMPLES, _CHUNK):
        weight = generator.multinomial(sessions, np.full(sessions, 1 / sessions), size=_CHUNK)  # (R, S)
        ratios.append((weight @ totals) / (weight @ counts)[:, None])
    low, high = np.percentile(np.concatenate(ratios), [2.5, 97.5], axis=0)  # (F,)
    return [Interval(float(m), float(lo), float(hi)) for m, lo, hi in zip(mean, low, high, strict=True)]


def normal_ratios(totals: Floats, counts: Floats) -> list[Interval]:
    """As `bootstrap_ratios`, by the normal approximation of a ratio of means: for many sessions.

    With ``counts`` of 1 these are plain means over sessions.
    """
    sessions = len(counts)
    mean = totals.sum(0) / counts.sum()  # (F,)
    if sessions < 2:
        return [Interval.single(float(m)) for m in mean]
    residual = (totals - mean * counts[:, None]) / counts.mean()  # (S, F)
    error = _Z * residual.std(0, ddof=1) / np.sqrt(sessions)
    return [Interval(float(m), float(m - e), float(m + e)) for m, e in zip(mean, error, strict=True)]
