"""One training with several settings: the one of the lowest held-out loss is kept."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.files import atomic_directory, write_json
from irecgan.runs.trained import TrainedPolicy, load_policy
from irecgan.training.columns import Told, beside
from irecgan.training.config import TrainingConfig
from irecgan.training.distillation import Distil
from irecgan.training.distributed import launched
from irecgan.training.losses import whole_slate
from irecgan.training.metrics import best_losses
from irecgan.training.recipes import Recipe, find_recipe
from irecgan.training.train import train

TUNING = "tuning.json"
"""What was tried for a run."""

AGENT_RATES: tuple[dict[str, Any], ...] = tuple({"agent_learning_rate": rate} for rate in (1e-4, 3e-4, 1e-3, 3e-3))
"""Candidates that matter most for an agent."""

_JUDGING = ("gamma", "lambda_r", "lambda_p", "stop", "validation_share")
"""Settings that are part of the held-out loss of any recipe."""
_JUDGING_SLATES = ("slate_likelihood",)
_JUDGING_LESSONS = (*_JUDGING_SLATES, "slate_size", "max_length", "distillation_held_out")


def train_best(
    log: SessionLog | Path | str,
    *,
    out: Path | str,
    recipe: str,
    candidates: Sequence[Mapping[str, Any]] = AGENT_RATES,
    validation: SessionLog | Path | str | None = None,
    items: Told | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> TrainedPolicy:
    """Train with each of ``candidates`` and keep the run whose last phase has the lowest held-out loss in ``out``.

    What was tried, with the loss of each, is written to ``tuning.json`` in the run. Equal losses: the
    earlier candidate. All candidates have one seed, so the same call keeps the same weights. A tuning that is
    interrupted leaves nothing.

    Args:
        log: a session log, or its file.
        out: the run directory to make.
        recipe: a name of `irecgan.training.recipes.RECIPES` that has a held-out loss.
        candidates: keys of `TrainingConfig` that differ from ``settings``.
        validation: sessions to judge by; by default the same share of ``log`` is held out for all.
        items: as in `train`.
        seed: of all that is random.
        settings: common to all candidates.

    Raises:
        UserError: as `train`, or the recipe has no held-out loss, or there is no candidate, or one changes what that
            loss means.

    """
    asked = find_recipe(recipe)
    if not any(phase.keeps for phase in asked.phases):
        raise UserError(f"train_best: found recipe {recipe}, which has no held-out loss; expected one that has")
    if together := launched():
        raise UserError(f"train_best: found {together} processes launched together, expected one")
    configs = _comparable(candidates, settings or {}, _judging(asked))
    told = beside(log) if items is None else items
    learn = log if isinstance(log, SessionLog) else SessionLog.read(log)
    with atomic_directory(Path(out)) as directory:
        trials = [directory / str(i) for i in range(len(configs))]
        for trial, config in zip(trials, configs, strict=True):
            train(learn, out=trial, recipe=recipe, validation=validation, items=told, seed=seed, settings=config)
        losses = [list(best_losses(trial).values())[-1] for trial in trials]
        kept = losses.index(min(losses))
        _keep(kept, trials, directory)
        tried = [{"settings": dict(c), "validation": loss} for c, loss in zip(candidates, losses, strict=True)]
        write_json(directory / TUNING, {"tried": tried, "kept": kept})
    return load_policy(out)


def _judging(recipe: Recipe) -> tuple[str, ...]:
    """The settings that are part of the held-out loss of the ``recipe``."""
    if any(isinstance(phase, Distil) for phase in recipe.phases):
        return (*_JUDGING, *_JUDGING_LESSONS)
    return (*_JUDGING, *_JUDGING_SLATES) if recipe.judge is whole_slate else _JUDGING


def _comparable(
    candidates: Sequence[Mapping[str, Any]], common: Mapping[str, Any], judging: Sequence[str]
) -> list[TrainingConfig]:
    """The settings of each candidate; UserError where there is none, or held-out losses would not mean the same."""
    if not candidates:
        raise UserError("candidates: found none, expected at least one")
    configs = [TrainingConfig.checked({**common, **candidate}) for candidate in candidates]
    for key in judging:
        found = {config.slates_as if key == "slate_likelihood" else getattr(config, key) for config in configs}
        if len(found) > 1:
            raise UserError(
                f"candidates: found {key} of {sorted(found, key=str)}, expected one: it is part of the held-out loss"
            )
    return configs


def _keep(kept: int, trials: Sequence[Path], directory: Path) -> None:
    """Make the run of one trial that of ``directory``, and remove all trials."""
    for path in trials[kept].iterdir():
        path.rename(directory / path.name)
    for trial in trials:
        shutil.rmtree(trial)
