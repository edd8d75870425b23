"""What the paper claims of table 1, as differences that should be positive."""

from collections.abc import Iterator, Sequence

from irecgan.experiments.frame.verdicts import Comparison
from irecgan.experiments.table1.differences import AGAINST
from irecgan.experiments.table1.results import Part

METRICS = ("p@1", "p@10")

_WORTHWHILE = 0.005  # of P@1 and P@10
_BASELINES = ("lstm", "lstmd", "pg", "pgis", "ac", "pgu", "acu")
_NAIVE = ("popularity", "co_click", "last_first", "logged_order", "gru4rec")
_OF_LISTS = ("terms", "linear", "boosting")
"""Models that see what the user sees of a list."""


def comparisons(parts: Sequence[Part]) -> list[Comparison]:
    """Every comparison that the rows at hand allow."""
    found: list[Comparison] = []
    best = "IRecGAN has the best P@10"
    for rival in _BASELINES:
        found += _beats(parts, best, "irecgan", rival, ("p@10",))
    adversarial = "Adversarial training improves P@10"
    found += _beats(parts, adversarial, "irecgan", "pgu", ("p@10",))
    found += _beats(parts, adversarial, "lstmd", "lstm", ("p@10",))
    found += _beats(parts, "LSTMD beats LSTM", "lstmd", "lstm", METRICS)
    found += _beats(parts, "PGIS trails PG", "pg", "pgis", METRICS)
    found += _beats(parts, "PGU beats PG: generated sessions help", "pgu", "pg", ("p@10",))
    for rival in _NAIVE:
        claim = "Not in the paper: IRecGAN beats every naive order and GRU4Rec"
        found += _beats(parts, claim, "irecgan", rival, ("p@10",))
    for model in _OF_LISTS:
        found += _beats(parts, f"Not in the paper: {model} beats the item touched last, first", model, AGAINST, METRICS)
    return found


def _beats(parts: Sequence[Part], claim: str, better: str, worse: str, metrics: Sequence[str]) -> Iterator[Comparison]:
    for part in parts:
        if {better, worse} <= part.rows.keys():
            for metric in metrics:
                ours, theirs = part.values(better, metric), part.values(worse, metric)
                if min(*ours, *theirs) == 1:
                    continue  # lists of at most 10: every ranking has a P@10 of 1
                label = f"{part.title}, {metric.upper()} against {worse}"
                yield Comparison(claim, label, part.differences(better, worse, metric), _WORTHWHILE)
