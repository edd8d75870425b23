"""What the paper claims of figure 2, as differences that should be positive."""

from collections.abc import Iterator, Sequence

from irecgan.experiments.figure2.results import Kind, Panel
from irecgan.experiments.frame.verdicts import Comparison

_WORTHWHILE = 0.01  # of the rival's reward; of coverage, in absolute terms
_AGENTS = ("pg", "irecgan")
_USER_MODELS = ("lstm", "lstmd")
_RIVALS = ("lstm", "lstmd", "pg", "pgu")
_KINDS = ("top", "sampled")


def comparisons(panels: Sequence[Panel]) -> list[Comparison]:
    """Every comparison that the rows at hand allow."""
    found: list[Comparison] = []
    for rival in _RIVALS:
        found += _beats(panels, f"IRecGAN beats {rival.upper()} in cumulative reward", "irecgan", rival)
    found += _beats(panels, "LSTMD beats LSTM in cumulative reward", "lstmd", "lstm")
    found += _stable(panels)
    found += _beats(panels, "PGIS trails PG in cumulative reward", "pg", "pgis")
    found += _beats(panels, "Not in the paper: IRecGAN beats the count of clicks", "irecgan", "popularity", ("top",))
    found += _beats(panels, "Not in the paper: IRecGAN beats GRU4Rec", "irecgan", "gru4rec")
    return found


def _beats(
    panels: Sequence[Panel], claim: str, better: str, worse: str, kinds: Sequence[Kind] = _KINDS
) -> Iterator[Comparison]:
    for panel in panels:
        if {better, worse} <= panel.rows.keys():
            for kind in kinds:
                rival = panel.rewards(worse, kind)
                differences = [a - b for a, b in zip(panel.rewards(better, kind), rival, strict=True)]
                worthwhile = _WORTHWHILE * sum(rival) / len(rival)
                yield Comparison(claim, f"{panel.title}, {kind} slates", differences, worthwhile)


def _stable(panels: Sequence[Panel]) -> Iterator[Comparison]:
    """How much less the coverage of agents moves with r than that of user models, under max and mix."""
    claim = "Coverage of agents is more stable in r than that of user models, under max and mix"
    for panel in panels:
        for agent in _AGENTS:
            for user in _USER_MODELS:
                if panel.log in ("max", "mix") and {agent, user} <= panel.rows.keys():
                    pairs = zip(panel.coverage(user), panel.coverage(agent), strict=True)
                    differences = [_range(a) - _range(b) for a, b in pairs]
                    yield Comparison(claim, f"{panel.title}, {agent} against {user}", differences, _WORTHWHILE)


def _range(coverage: Sequence[float]) -> float:
    return max(coverage) - min(coverage)
