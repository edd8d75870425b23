"""The results of figure 3 by world, method and seed, as arrays over rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irecgan.experiments.figure3.settings import METHODS, Figure3Cell
from irecgan.experiments.frame.cuts import most_cut
from irecgan.experiments.frame.study import Json

Floats = NDArray[np.float64]
_LATE = 5
"""Rounds that count as the later stage."""
Stage = Literal["interaction", "afterwards"]
Measure = Literal["coverage@1", "coverage@10", "cumulative reward"]
MEASURES: tuple[Measure, ...] = ("coverage@1", "coverage@10", "cumulative reward")


@dataclass(frozen=True)
class Curves:
    """All methods under one law of transitions."""

    law: str
    methods: dict[str, list[Json]]  # by name: the result of each seed

    @property
    def late(self) -> int:
        """The last rounds, which count as the later stage: all, where there are no more."""
        return min(_LATE, len(next(iter(self.methods.values()))[0]["interaction"]))

    def values(self, method: str, measure: Measure, stage: Stage) -> Floats:
        """A measure of a method by seed and round. (seeds, rounds)"""
        return np.array([[_value(entry, measure) for entry in result[stage]] for result in self.methods[method]])

    def lately(self, values: Floats) -> Floats:
        """The means of ``values`` (seeds, rounds) over the `late` rounds. (seeds,)"""
        late: Floats = np.mean(values[:, -self.late :], axis=1)
        return late

    def cut(self, stage: Stage) -> int:
        """The most sessions of a method in a round of a ``stage`` that were cut at the limit."""
        return most_cut(entry for found in self.methods.values() for result in found for entry in result[stage])


def curves(results: Sequence[tuple[Figure3Cell, Json]]) -> list[Curves]:
    """One entry for each law."""
    ordered = sorted(results, key=lambda pair: pair[0].seed)
    laws = dict.fromkeys(cell.law for cell, _ in results)
    return [
        Curves(law, {name: [r for cell, r in ordered if (cell.law, cell.method) == (law, name)] for name in METHODS})
        for law in laws
    ]


def _value(entry: Json, measure: Measure) -> float:
    if measure == "cumulative reward":
        return float(entry["cumulative_reward"]["mean"])
    coverage: dict[str, float] = entry["coverage"]
    return coverage[measure.removeprefix("coverage@")]
