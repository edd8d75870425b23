"""A guard against learning from what a user model imagines.

An agent that is optimised against a learned user model finds its mistakes: what the model predicts of the agent
rises while what real users do becomes less likely under it.
"""

from collections.abc import Mapping, Sequence

PREDICTED = "generated/value"
"""What the user model predicts that a session of the agent is worth."""
HELD_OUT = "validation"


def exploitation(units: Sequence[Mapping[str, float | str]]) -> str | None:
    """What to say of a phase, by the metrics of its units in order; None where nothing is amiss.

    >>> rounds = [{"generated/value": 3.0, "validation": 9.0}, {"generated/value": 4.2, "validation": 9.5}]
    >>> exploitation(rounds)
    'predicted value rose from 3.000 to 4.200 while the held-out loss rose from 9.0000 to 9.5000'
    >>> exploitation(rounds[::-1])
    """
    told = [unit for unit in units if PREDICTED in unit and HELD_OUT in unit]
    if not told:
        return None
    last, best = told[-1], min(told, key=lambda unit: float(unit[HELD_OUT]))
    before, after = float(best[PREDICTED]), float(last[PREDICTED])
    low, high = float(best[HELD_OUT]), float(last[HELD_OUT])
    if after <= before or high <= low:
        return None
    return (
        f"predicted value rose from {before:.3f} to {after:.3f} "
        f"while the held-out loss rose from {low:.4f} to {high:.4f}"
    )
