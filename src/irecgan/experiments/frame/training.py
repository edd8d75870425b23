"""Policies trained for an experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from irecgan.data.log import SessionLog
from irecgan.runs.trained import TrainedPolicy
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.recipes import find_recipe
from irecgan.training.train import train
from irecgan.training.tuning import train_best

TUNED = ("gru4rec",)
"""Recipes that choose among TRIED by held-out loss; the paper's models take the settings of the preset as they are."""
TRIED: tuple[dict[str, Any], ...] = (
    {"agent_learning_rate": 1e-3},
    {**PRESETS["gru"], "agent_learning_rate": 1e-3},
    PRESETS["gru"],
)


def trained(
    log: SessionLog,
    recipe: str,
    out: Path,
    *,
    seed: int,
    preset: str,
    changes: Sequence[str] = (),
    validation: SessionLog | None = None,
) -> TrainedPolicy:
    """A policy learned from ``log`` by ``recipe``, in the directory ``out``; ``changes`` of the preset: key=value.

    Recipes read what they can of the columns that are named there: a study has one list of changes for all.
    """
    settings = TrainingConfig.parse(changes, preset)
    settings = settings.model_copy(update=dict.fromkeys(find_recipe(recipe).unread(settings)))
    if recipe in TUNED:
        common = settings.model_dump(exclude_defaults=True)
        return train_best(
            log, recipe=recipe, out=out / recipe, candidates=TRIED, seed=seed, settings=common, validation=validation
        )
    return train(log, recipe=recipe, out=out / recipe, seed=seed, settings=settings, validation=validation)
