"""What is claimed of ``auto``, as differences that should be positive."""

from collections.abc import Iterator, Sequence

from irecgan.experiments.beyond.results import Panel
from irecgan.experiments.frame.verdicts import Comparison
from irecgan.training.auto import AUTO

_NOISE = 0.02
"""Of the rival's reward: a loss of less is none that matters."""
_DISTILLED = 0.05
_RIVALS = ("count", "pg")


def comparisons(panels: Sequence[Panel]) -> list[Comparison]:
    """Every comparison that the rows at hand allow."""
    found: list[Comparison] = []
    for rival in _RIVALS:
        claim = f"auto is never worse than {rival} by {_NOISE:.0%} or more"
        found += _beats(panels, claim, AUTO, rival, share=1 - _NOISE)
    for rival in _RIVALS:
        matters = [panel for panel in panels if panel.history_matters]
        found += _beats(matters, f"auto beats {rival} where history matters", AUTO, rival)
    found += _beats(panels, f"Distillation costs less than {_DISTILLED:.0%}", "distilled", "latent", 1 - _DISTILLED)
    return found


def _beats(panels: Sequence[Panel], claim: str, better: str, worse: str, share: float = 1.0) -> Iterator[Comparison]:
    """By how much one policy is above a ``share`` of another's reward."""
    for panel in panels:
        if {better, worse} <= panel.rows.keys():
            pairs = zip(panel.values(better), panel.values(worse), strict=True)
            yield Comparison(claim, panel.title, [a - share * b for a, b in pairs], worthwhile=0.0)
