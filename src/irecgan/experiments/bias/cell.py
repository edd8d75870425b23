"""One cell of the experiment ``bias``: a training, watched round by round."""

import math
from functools import partial
from pathlib import Path
from typing import Any

from irecgan.data.batch import Sessions
from irecgan.evaluation.bias import Encounter, Figures, exact_figures, finite_samples, sampled_figures
from irecgan.experiments.bias.settings import ARMS, BiasCell, BiasSettings, Log, WorldSettings
from irecgan.policies.logging import BlendedPolicy, LoggingPolicy, MixPolicy, RandomPolicy
from irecgan.seeding import Streams
from irecgan.simulation import simulate
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab, make_lab
from irecgan.training.learner import mean_loss
from irecgan.training.loop import run_phases
from irecgan.training.phases import Phase
from irecgan.worlds.mdp import MDPWorld, draw_world

SOFTNESS = 0.3
"""The share of random slates that softens mix."""


def work(settings: BiasSettings, cell: BiasCell, scratch: Path) -> dict[str, Any]:
    """Figures before the first round and after every one, of the kept models, and over finite samples.

    World, log, held-out sessions and first weights depend on the seed alone: arms of one seed are paired.
    """
    setting = settings.worlds[cell.scale]
    streams = Streams(cell.seed)
    world = draw_world(setting.law, setting.states, setting.items, setting.slate_size, seed=cell.seed)
    logging = logging_policy(cell.log, world)
    recipe = ARMS[cell.arm]
    lab = make_lab(_logged(world, logging, setting, streams), setting.config, streams, recipe.agent_loss, recipe.heads)
    judge = lab.discriminator if "discriminator" in recipe.teaches else None
    met = Encounter(lab.agent, lab.user, world, logging, setting.clicks, judge)
    figures = partial(_figures, settings, cell, lab, met, streams)
    rounds: list[Figures] = []

    def observe(phase: Phase, units: int) -> None:
        if phase.name == recipe.phases[-1].name and units % setting.every == 0:
            rounds.append({"round": float(units)} | figures())

    run_phases(recipe, lab, scratch, observe)
    kept = figures()
    finite = _finite(settings, lab, met, streams, kept["value/data"])
    return {
        "rounds": [_finite_numbers(found) for found in rounds],
        "kept": _finite_numbers(kept),
        "finite": {name: _finite_numbers(found) for name, found in finite.items()},
    }


def logging_policy(name: Log, world: MDPWorld) -> LoggingPolicy:
    """Who logged the sessions of a cell."""
    random, mix = RandomPolicy(world.catalogue_size, world.slate_size), MixPolicy(world)
    policies: dict[Log, LoggingPolicy] = {"random": random, "mix": mix, "soft": BlendedPolicy(random, mix, SOFTNESS)}
    return policies[name]


def _logged(world: MDPWorld, logging: LoggingPolicy, setting: WorldSettings, streams: Streams) -> TrainingData:
    """A log of the world as a training sees it, over all items of the world."""
    child = streams.child("simulate")
    batches = simulate(logging, world, setting.sessions, max_length=setting.clicks, streams=child)
    sessions = Sessions.concat([Sessions.from_batch(batch) for batch in batches])
    share = setting.config.validation_share
    return TrainingData(*hold_out(sessions, share, streams.torch("hold-out")), final_slates=True)


def _figures(settings: BiasSettings, cell: BiasCell, lab: Lab, met: Encounter, streams: Streams) -> Figures:
    """Of the models as they are: exact where all sessions of the world can be listed."""
    found = (
        exact_figures(met)
        if cell.scale == "listed"
        else sampled_figures(met, settings.measured_sessions, streams.child("figures"))
    )
    return found | {"user/validation": mean_loss(lab.judges["user"], lab.data.validation)}


def _finite(
    settings: BiasSettings, lab: Lab, met: Encounter, streams: Streams, value_data: float
) -> dict[str, Figures]:
    """Of the estimates over samples of as many generated sessions as a round has."""
    return finite_samples(
        met,
        sessions=max(1, round(lab.config.generated_ratio * len(lab.data.train))),
        repeats=settings.repeats,
        completions=lab.config.completions,
        streams=streams.child("finite"),
        value_data=value_data,
    )


def _finite_numbers(figures: Figures) -> dict[str, float | None]:
    """What JSON can hold: ratios of chances that overflow are None."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}
