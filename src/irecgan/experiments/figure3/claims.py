"""What the paper claims of figure 3, as differences that should be positive. All of the interaction stage."""

from collections.abc import Iterator, Sequence

from irecgan.experiments.figure3.results import Curves, Floats, Measure
from irecgan.experiments.frame.verdicts import Comparison

_WORTHWHILE = 0.01  # of coverage
_COVERAGE: tuple[Measure, ...] = ("coverage@1", "coverage@10")


def comparisons(found: Sequence[Curves]) -> list[Comparison]:
    """Every comparison, over laws and measures."""
    return [comparison for curves in found for comparison in _of(curves)]


def _of(curves: Curves) -> Iterator[Comparison]:
    for measure in _COVERAGE:

        def values(method: str, measure: Measure = measure) -> Floats:
            return curves.values(method, measure, "interaction")

        where = f"{curves.law}, {measure}"
        ours, both = values("IRecGAN"), values("PG-online&offline")
        claim = "IRecGAN has better convergence and coverage than PG-online&offline"
        yield _comparison(claim, f"{where}, mean of all rounds", ours.mean(1) - both.mean(1))
        yield _comparison(claim, f"{where}, mean of the last {curves.late}", curves.lately(ours) - curves.lately(both))
        claim = "LSTM-offline ends below the methods with reinforcement learning offline"
        for name, other in (("IRecGAN", ours), ("PG-online&offline", both)):
            difference = curves.lately(other) - curves.lately(values("LSTM-offline"))
            yield _comparison(claim, f"{where}, {name}, mean of the last {curves.late}", difference)
        claim = "PG-online improves slowly: it stays below PG-online&offline"
        yield _comparison(claim, f"{where}, mean of all rounds", both.mean(1) - values("PG-online").mean(1))
        claim = "Not in the paper: IRecGAN covers more than GRU4Rec and a count of clicks"
        for name in ("GRU4Rec-offline, sampled", "count"):
            difference = curves.lately(ours) - curves.lately(values(name))
            yield _comparison(claim, f"{where}, {name}, mean of the last {curves.late}", difference)
    claim = "coverage@10 is harder to improve than coverage@1"
    for method in ("IRecGAN", "PG-online&offline"):
        one, ten = (_gain(curves, curves.values(method, measure, "interaction")) for measure in _COVERAGE)
        yield _comparison(claim, f"{curves.law}, {method}, last {curves.late} rounds less first", one - ten)


def _comparison(claim: str, label: str, differences: Floats) -> Comparison:
    return Comparison(claim, label, differences.tolist(), _WORTHWHILE)


def _gain(curves: Curves, values: Floats) -> Floats:
    return curves.lately(values) - values[:, 0]
