"""What the experiment ``bias`` varies and what it holds fixed."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from irecgan.experiments.frame.study import Cell, Distinct, Seeds, Settings
from irecgan.training.config import Positive, TrainingConfig
from irecgan.training.phases import Fit, Rounds
from irecgan.training.recipes import Recipe, find_recipe

Scale = Literal["listed", "paper"]
"""A world whose sessions can all be listed, or the world of the paper's simulated test."""
Log = Literal["random", "soft", "mix"]
"""Who logged: random slates; mix softened by random slates; mix."""
Arm = Literal["irecgan", "unscored", "pgu"]
"""With a discriminator; the same without its scores, all weights 1; and with U as the log alone has taught it."""
ARMS: dict[Arm, Recipe] = {
    "irecgan": find_recipe("irecgan"),
    "unscored": Recipe(
        "unscored",
        "irecgan without D: the user model goes on learning, and generated sessions weigh 1",
        "agent",
        (Fit("user"), Fit("agent"), Rounds(scored=False, keeps=("agent",), user=True)),
        stops_on_exploitation=False,  # as the arms beside it
    ),
    "pgu": find_recipe("pgu"),
}
"""Up to the rounds they are the same training."""


class WorldSettings(BaseModel):
    """A world and its log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    law: str
    states: Positive
    items: Positive
    slate_size: Positive
    clicks: Positive  # after which every session is cut, logged, generated or played
    sessions: Positive  # logged
    logs: Distinct[Log]
    training: Mapping[str, Any]  # settings that differ from their defaults
    every: Positive = 1  # rounds between two measurements

    @property
    def config(self) -> TrainingConfig:
        """All settings of a training in this world."""
        return TrainingConfig.checked({**self.training, "max_length": self.clicks, "slate_size": self.slate_size})


class BiasSettings(Settings):
    """The whole experiment."""

    seeds: Seeds = 5  # of a world, its log and the training on it
    worlds: Mapping[Scale, WorldSettings]
    measured_sessions: Positive = 2_000  # of each law, where sessions cannot be listed
    repeats: Positive = 100  # samples of generated sessions, for the variance of an estimate


class BiasCell(Cell):
    """One training."""

    scale: Scale
    log: Log
    arm: Arm
    seed: int


def cells(settings: BiasSettings) -> list[BiasCell]:
    """All arms on the log of every world, policy and seed; the longest trainings first."""
    return [
        BiasCell(scale=scale, log=log, arm=arm, seed=seed)
        for scale, world in sorted(settings.worlds.items(), reverse=True)
        for arm in ARMS
        for log in world.logs
        for seed in range(settings.seeds)
    ]


_LISTED = WorldSettings(
    law="dirichlet:0.3",
    states=3,
    items=4,
    slate_size=2,
    clicks=3,
    sessions=400,
    logs=("random", "soft"),
    training={
        "units": 16,
        "embedding": 8,
        "layers": 1,
        "agent_learning_rate": 3e-3,
        "user_learning_rate": 3e-3,
        "discriminator_learning_rate": 3e-3,
        "user_epochs": 20,
        "agent_epochs": 10,
        "agent_epochs_per_round": 1,
        "rounds": 8,
        "patience": 8,  # all rounds are played
    },
    every=2,
)
_PAPER = WorldSettings(
    law="softmax",
    states=10,
    items=50,
    slate_size=10,
    clicks=40,
    sessions=500,
    logs=("random", "mix"),
    training={
        "units": 64,
        "agent_learning_rate": 1e-3,
        "user_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
        "user_epochs": 20,
        "agent_epochs": 8,
        "agent_epochs_per_round": 1,
        "rounds": 6,
        "patience": 6,
    },
)

PRESETS: dict[str, BiasSettings] = {
    "quick": BiasSettings(worlds={"listed": _LISTED, "paper": _PAPER}),
    "paper": BiasSettings(
        seeds=20,
        worlds={
            "listed": _LISTED.model_copy(update={"sessions": 1_000}),
            "paper": _PAPER.model_copy(
                update={
                    "sessions": 1_000,
                    "training": {**_PAPER.training, "units": 512, "rounds": 10, "patience": 10},
                }
            ),
        },
        measured_sessions=5_000,
        repeats=200,
    ),
}
