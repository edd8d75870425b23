"""The one training loop: it knows phases, validation and checkpoints, and no recipe by name."""

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from irecgan.errors import UserError
from irecgan.models.networks import ModelName
from irecgan.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from irecgan.training.guard import exploitation
from irecgan.training.lab import Lab
from irecgan.training.metrics import MetricsLog, read_metrics
from irecgan.training.phases import Phase
from irecgan.training.recipes import Recipe

CHECKPOINT = "checkpoint.safetensors"

Observer = Callable[[Phase, int], None]
"""Told of a phase and how many of its units are done: before its first unit (0), and after every one."""


def run_phases(recipe: Recipe, lab: Lab, directory: Path, observe: Observer | None = None) -> None:
    """Train to the end of ``recipe``, from the checkpoint in ``directory`` if there is one.

    After every unit the state is written, and in its epochs every ``checkpoint_minutes``, so that a training
    that was killed goes on from there and ends with the very weights of one that was not. ``observe`` may look
    at the models of ``lab`` as they learn, and must leave them as they are.
    """
    checkpoint = directory / CHECKPOINT
    lab.journal.begin()
    progress = load_checkpoint(checkpoint, lab) if checkpoint.exists() else Progress()
    lab.processes.expect_same([(str(checkpoint), f"{progress.phase}.{progress.unit}.{lab.journal.account.batches}")])
    lab.journal.save = lambda: _save(checkpoint, lab, progress)
    with MetricsLog(directory, progress.lines) if lab.processes.first else nullcontext() as log:
        while progress.phase < len(recipe.phases):
            _run_phase(recipe.phases[progress.phase], lab, progress, log, checkpoint, observe=observe)
            if lab.processes.first:
                _tell_exploitation(recipe.phases[progress.phase], progress, directory)
            _finish_phase(recipe.phases[progress.phase], lab, progress)
            _save(checkpoint, lab, progress)


def _run_phase(
    phase: Phase, lab: Lab, progress: Progress, log: MetricsLog | None, checkpoint: Path, *, observe: Observer | None
) -> None:
    limit = phase.limit(lab)
    if observe is not None:
        observe(phase, progress.unit)
    with tqdm(total=limit, initial=progress.unit, desc=phase.name, disable=_quiet(lab), leave=False) as bar:
        while progress.unit < limit and not _stale(phase, lab, progress):
            metrics = lab.processes.agreed(phase.unit(lab, progress.unit))
            if log is not None:
                log.write(phase.name, progress.unit, metrics)
            _refuse_divergence(phase, progress.unit, metrics)
            if phase.keeps and metrics["validation"] < progress.best_validation:
                progress.best_validation, progress.best_unit = metrics["validation"], progress.unit
                progress.best = _weights(lab, phase.keeps)
            progress.unit += 1
            progress.lines += 1
            lab.journal.begin()
            _save(checkpoint, lab, progress)
            if observe is not None:
                observe(phase, progress.unit)
            if "validation" in metrics:
                bar.set_postfix({"validation": f"{metrics['validation']:.4f}"})
            bar.update()


def _save(checkpoint: Path, lab: Lab, progress: Progress) -> None:
    """Write the checkpoint, which is the same in all processes, once."""
    if lab.processes.first:
        save_checkpoint(checkpoint, lab, progress)


def _quiet(lab: Lab) -> bool | None:
    """Whether to show no progress; None where only a terminal is to have it."""
    return None if lab.processes.first else True


def _refuse_divergence(phase: Phase, unit: int, metrics: dict[str, float]) -> None:
    wrong = [key for key, value in metrics.items() if not math.isfinite(value)]
    if wrong:
        raise UserError(f"{phase.name} {unit}: {wrong[0]} is not finite; try lower learning rates")


def _tell_exploitation(phase: Phase, progress: Progress, directory: Path) -> None:
    """Say so where the agent learned what only the user model believes; the best unit is kept in any case."""
    units = [line for line in read_metrics(directory) if line["phase"] == phase.name]
    if "agent" in phase.keeps and (found := exploitation(units)):
        logging.getLogger("irecgan").warning(
            "%s: %s: the user model is exploited; unit %d is kept", phase.name, found, progress.best_unit
        )


def _stale(phase: Phase, lab: Lab, progress: Progress) -> bool:
    waited = progress.unit - 1 - progress.best_unit
    return bool(phase.keeps) and progress.unit > 0 and waited >= lab.config.patience


def _finish_phase(phase: Phase, lab: Lab, progress: Progress) -> None:
    """Return to the best weights of the phase and turn to the next one."""
    for name in phase.keeps:
        prefix = f"{name}."
        weights = {k.removeprefix(prefix): v for k, v in progress.best.items() if k.startswith(prefix)}
        lab.model(name).load_state_dict(weights)
    progress.phase, progress.unit, progress.best_unit = progress.phase + 1, 0, -1
    progress.best_validation, progress.best = float("inf"), {}


def _weights(lab: Lab, names: tuple[ModelName, ...]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value.clone() for name in names for key, value in lab.model(name).state_dict().items()}
