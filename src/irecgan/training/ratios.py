"""Means over what sessions count, such as steps or clicks."""

import math

from torch import Tensor


def ratio(totals: Tensor, counts: Tensor) -> tuple[float, float]:
    """The sum of ``totals`` (S,) over that of ``counts`` (S,), and its standard error, sessions being the unit.

    Of one session, or of nothing counted: 0, and an infinite error.
    """
    sessions = len(totals)
    if sessions < 2 or not int(counts.sum()):
        return 0.0, math.inf
    mean = totals.sum() / counts.sum()
    error = (totals - mean * counts).std() / counts.double().mean() / math.sqrt(sessions)
    return float(mean), float(error)
