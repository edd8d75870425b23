"""What is claimed of ``auto``, as differences that should be positive."""

from collections.abc import Iterator, Sequence

from irecgan.experiments.beyond.results import Panel
from irecgan.experiments.beyond.settings import AUTO
from irecgan.experiments.frame.verdicts import Comparison

LEVEL = 0.01
NOISE = 0.02
"""Of the rival's reward: a loss of less is none that matters."""
DISTILLED, PLANNER = "latent-distilled", "latent"
_DISTILLED = 0.05
RIVALS = ("pg", "count")

NEVER_WORSE = f"auto is never worse than pg or count by {NOISE:.0%} or more"
BETTER = "auto beats pg and count where history matters"
_AS_THE_BEST = f"auto is never worse than the best fixed recipe by {NOISE:.0%} or more"
_DISTILLING = f"Distillation costs less than {_DISTILLED:.0%} of the planner's reward"


def comparisons(panels: Sequence[Panel]) -> list[Comparison]:
    """Every comparison that the rows at hand allow."""
    matters = [panel for panel in panels if panel.history_matters]
    found: list[Comparison] = []
    for rival in RIVALS:
        found += _beats(panels, NEVER_WORSE, AUTO, rival, 1 - NOISE)
    for rival in RIVALS:
        found += _beats(matters, BETTER, AUTO, rival)
    for panel in panels:
        found += [one for best in panel.fixed[:1] for one in _beats([panel], _AS_THE_BEST, AUTO, best, 1 - NOISE)]
    found += _beats(panels, _DISTILLING, DISTILLED, PLANNER, 1 - _DISTILLED)
    return found


def label(panel: Panel, rival: str) -> str:
    """What is compared."""
    return f"{panel.title}, against {rival}"


def _beats(panels: Sequence[Panel], claim: str, better: str, worse: str, share: float = 1.0) -> Iterator[Comparison]:
    """By how much one policy is above a ``share`` of another's reward."""
    for panel in panels:
        if {better, worse} <= panel.rows.keys():
            pairs = zip(panel.values(better), panel.values(worse), strict=True)
            yield Comparison(claim, label(panel, worse), [a - share * b for a, b in pairs], worthwhile=0.0)
