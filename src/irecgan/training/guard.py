"""A guard against learning from what a user model imagines.

An agent that is optimised against a learned user model finds its mistakes: what the model predicts of the agent
rises while what real users do becomes less likely under it.
"""

from collections.abc import Mapping

PREDICTED = "generated/value"
"""What the user model predicts that a session of the agent is worth."""
HELD_OUT = "validation"
EXPLOITED = "generated/exploited"
"""1 for a unit of which there is something to say, else 0."""


def exploitation(best: Mapping[str, float], now: Mapping[str, float]) -> str | None:
    """What to say of a unit by its metrics and those of the best one before it; None where nothing is amiss.

    >>> one, other = {"generated/value": 3.0, "validation": 9.0}, {"generated/value": 4.2, "validation": 9.5}
    >>> exploitation(one, other)
    'predicted value rose from 3.000 to 4.200 while the held-out loss rose from 9.0000 to 9.5000'
    >>> exploitation(other, one)
    """
    if not {PREDICTED, HELD_OUT} <= best.keys() & now.keys():
        return None
    if now[PREDICTED] <= best[PREDICTED] or now[HELD_OUT] <= best[HELD_OUT]:
        return None
    return (
        f"predicted value rose from {best[PREDICTED]:.3f} to {now[PREDICTED]:.3f} "
        f"while the held-out loss rose from {best[HELD_OUT]:.4f} to {now[HELD_OUT]:.4f}"
    )
