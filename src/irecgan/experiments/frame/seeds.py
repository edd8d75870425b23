"""Means over seeds."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from irecgan.evaluation.intervals import Interval


def over_seeds(values: Sequence[float]) -> Interval:
    """The mean of one value a seed, with the 95 % interval of Student's t; one value alone spans no interval."""
    numbers = np.asarray(values, dtype=float)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Interval.single(mean)
    error = float(stats.t.ppf(0.975, len(numbers) - 1) * stats.sem(numbers))
    return Interval(mean, mean - error, mean + error)
