"""The results of the experiment ``bias``: means over seeds, and paired differences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from irecgan.evaluation.bias import LAMBDA_1
from irecgan.evaluation.intervals import Interval
from irecgan.experiments.bias.settings import Arm, BiasCell, Log, Scale
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.study import Json

Pick = Callable[[Json], float | None]
"""A number of one training; None where it has none."""

ESTIMATES = {
    "plain": "no D: all weights 1",
    "learned": "learned D",
    "learned_normalised": "learned D, normalised",
    "optimal": "optimal D",
    "optimal_normalised": "optimal D, normalised",
    "prefix": "optimal D of prefixes, as Eq. (12) is written",
}
"""Ways to weigh what generated sessions earn. Normalised: divided by the mean weight."""


@dataclass(frozen=True)
class Group:
    """All trainings on the logs of one policy in worlds of one scale."""

    scale: Scale
    log: Log
    results: Mapping[tuple[Arm, int], Json]

    @property
    def title(self) -> str:
        """``listed worlds, log of random``."""
        return f"{self.scale} worlds, log of {self.log}"

    def values(self, arm: Arm, pick: Pick) -> list[float] | None:
        """One number a seed, in order; None unless every training of the arm has one."""
        found = [pick(result) for (name, _), result in sorted(self.results.items()) if name == arm]
        known = [value for value in found if value is not None]
        return known if found and len(known) == len(found) else None

    def mean(self, arm: Arm, pick: Pick) -> Interval | None:
        """The mean over seeds."""
        values = self.values(arm, pick)
        return None if values is None else over_seeds(values)

    def difference(self, arm: Arm, other: Arm, pick: Pick) -> Interval | None:
        """The mean over seeds of ``arm`` minus ``other``."""
        left, right = self.values(arm, pick), self.values(other, pick)
        if left is None or right is None:
            return None
        return over_seeds([a - b for a, b in zip(left, right, strict=True)])


def grouped(results: Sequence[tuple[BiasCell, Json]]) -> list[Group]:
    """The groups, worlds that can be listed first."""
    groups: dict[tuple[Scale, Log], dict[tuple[Arm, int], Json]] = {}
    for cell, result in results:
        groups.setdefault((cell.scale, cell.log), {})[cell.arm, cell.seed] = result
    ordered = sorted(groups.items(), key=lambda item: item[0][0])
    return [Group(scale, log, found) for (scale, log), found in ordered]


def kept(name: str) -> Pick:
    """A figure of the models that a training ends with."""
    return lambda result: result["kept"].get(name)


def bias_of(estimate: str, figures: Mapping[str, float | None]) -> float | None:
    """How far an estimate's expectation is above V_pi."""
    value, truth = figures.get(f"estimate/{estimate}"), figures["value/policy"]
    return None if value is None or truth is None else value - truth


def bias(estimate: str) -> Pick:
    """`bias_of` the models that a training ends with."""
    return lambda result: bias_of(estimate, result["kept"])


def size_of_bias(estimate: str) -> Pick:
    """Its absolute value."""

    def pick(result: Json) -> float | None:
        value = bias_of(estimate, result["kept"])
        return None if value is None else abs(value)

    return pick


def model_bias(result: Json) -> float:
    """|V_g - V_pi|: how far the value among learned users is from that among true ones."""
    return abs(float(result["kept"]["value/generated"]) - float(result["kept"]["value/policy"]))


def generated_bias(estimate: str) -> Pick:
    """How far the generated part of an estimate, alone, is above V_pi."""

    def pick(result: Json) -> float | None:
        figures = result["kept"]
        value, data, truth = (figures.get(k) for k in (f"estimate/{estimate}", "value/data", "value/policy"))
        if value is None:
            return None
        return float((value - (1 - LAMBDA_1) * data) / LAMBDA_1 - truth)

    return pick


def data_bias(result: Json) -> float:
    """How far the value of the logging policy is above V_pi."""
    return float(result["kept"]["value/data"]) - float(result["kept"]["value/policy"])


def deviation(estimate: str) -> Pick:
    """The standard deviation of an estimate over samples of generated sessions."""
    return lambda result: result["finite"].get(estimate, {}).get("sd")


def error(estimate: str) -> Pick:
    """The root of the mean squared error of an estimate: of its bias and its deviation."""

    def pick(result: Json) -> float | None:
        offset, spread = bias_of(estimate, result["kept"]), deviation(estimate)(result)
        return None if offset is None or spread is None else float((offset**2 + spread**2) ** 0.5)

    return pick


def change(estimate: str, measure: Callable[[str], Pick]) -> Pick:
    """A measure of an estimate minus that of the plain one, of the same training."""

    def pick(result: Json) -> float | None:
        value, plain = measure(estimate)(result), measure("plain")(result)
        return None if value is None or plain is None else value - plain

    return pick
