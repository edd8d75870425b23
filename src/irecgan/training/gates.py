"""Gates: what a log must show before a recipe may learn from it, and what is done where it does not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from irecgan.models.networks import ModelName
from irecgan.seeding import Streams
from irecgan.training.data import TrainingData
from irecgan.training.journal import Metrics
from irecgan.training.lab import Lab


@dataclass(frozen=True)
class Finding:
    """What a gate found in a log. ``text`` says it in one sentence."""

    passed: bool
    text: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Gate:
    """A question to the log.

    ``ask`` depends on nothing but its arguments: a training that is resumed asks again and hears the same. Where
    the answer is no, the recipe called ``otherwise`` learns.
    """

    name: str
    ask: Callable[[TrainingData, Streams], Finding]
    otherwise: str


@dataclass(frozen=True)
class Noted:
    """The phase that logs what a gate found, as its one unit."""

    name: str
    metrics: Mapping[str, float]
    keeps: tuple[ModelName, ...] = ()
    teaches: tuple[ModelName, ...] = ()

    def limit(self, lab: Lab) -> int:  # noqa: ARG002
        """One."""
        return 1

    def unit(self, lab: Lab, index: int) -> Metrics:  # noqa: ARG002
        """What was found."""
        return dict(self.metrics)
