"""The one training loop: it knows phases, validation and checkpoints, and no recipe by name."""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from irecgan.errors import UserError
from irecgan.models.networks import ModelName
from irecgan.tensors import below
from irecgan.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from irecgan.training.guard import EXPLOITED, PREDICTED, exploitation
from irecgan.training.lab import Lab
from irecgan.training.metrics import MetricsLog
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
    stops = lab.config.stop_on_exploitation
    guarded = recipe.stops_on_exploitation if stops is None else stops
    with MetricsLog(directory, progress.lines) if lab.processes.first else nullcontext() as log:
        while progress.phase < len(recipe.phases):
            phase = recipe.phases[progress.phase]
            _run_phase(phase, lab, progress, log, checkpoint, observe=observe, guarded=guarded)
            if lab.processes.first:
                _tell_exploitation(phase, progress, stopped=guarded)
            _finish_phase(phase, lab, progress)
            _save(checkpoint, lab, progress)


def _run_phase(
    phase: Phase,
    lab: Lab,
    progress: Progress,
    log: MetricsLog | None,
    checkpoint: Path,
    *,
    observe: Observer | None,
    guarded: bool,
) -> None:
    limit, measured = phase.limit(lab), list[dict[str, float]]()

    def goes_on() -> bool:
        return progress.unit < limit and not _stale(phase, lab, progress) and not (guarded and progress.exploited)

    if observe is not None:
        observe(phase, progress.unit)
    with tqdm(total=limit, initial=progress.unit, desc=phase.name, disable=_quiet(lab), leave=False) as bar:
        while goes_on():
            metrics = _watched(phase, lab.processes.agreed(phase.unit(lab, progress.unit)), progress)
            if log is not None:
                log.write(phase.name, progress.unit, metrics)
            measured.append(metrics)
            _refuse_divergence(phase, progress.unit, measured)
            if phase.keeps and metrics["validation"] < progress.best_validation:
                progress.best_validation, progress.best_unit = metrics["validation"], progress.unit
                progress.best, progress.at_best = _weights(lab, phase.keeps), metrics
            progress.unit += 1
            progress.lines += 1
            lab.journal.begin()
            if goes_on():  # the last unit is written with the end of its phase
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


def _refuse_divergence(phase: Phase, unit: int, measured: Sequence[dict[str, float]]) -> None:
    """Raise UserError where the last unit ``measured`` has what is no number, with the course that led there."""
    for key, value in measured[-1].items():
        if not math.isfinite(value):
            course = " -> ".join(f"{metrics[key]:.4g}" for metrics in measured[-5:] if key in metrics)
            raise UserError(f"{phase.name} {unit}: {key} is not finite ({course}); try lower learning rates")


def _watched(phase: Phase, metrics: dict[str, float], progress: Progress) -> dict[str, float]:
    """The metrics of a unit with the word of the guard, where the agent learns among users that U imagines."""
    if "agent" not in phase.keeps or PREDICTED not in metrics:
        return metrics
    progress.exploited = exploitation(progress.at_best, metrics)
    return metrics | {EXPLOITED: float(progress.exploited is not None)}


def _tell_exploitation(phase: Phase, progress: Progress, *, stopped: bool) -> None:
    """Say so where the agent learned what only the user model believes; the best unit is kept in any case."""
    if progress.exploited:
        found = f"{progress.exploited}: the user model is exploited"
        end = f"stopped after unit {progress.unit - 1}, " if stopped else ""
        logging.getLogger("irecgan").warning("%s: %s; %sunit %d is kept", phase.name, found, end, progress.best_unit)


def _stale(phase: Phase, lab: Lab, progress: Progress) -> bool:
    waited = progress.unit - 1 - progress.best_unit
    return bool(phase.keeps) and progress.unit > 0 and waited >= lab.config.patience


def _finish_phase(phase: Phase, lab: Lab, progress: Progress) -> None:
    """Return to the best weights of the phase and turn to the next one."""
    for name in phase.keeps:
        lab.model(name).load_state_dict(below(progress.best, f"{name}."))
    progress.phase, progress.unit, progress.best_unit = progress.phase + 1, 0, -1
    progress.best_validation, progress.best = float("inf"), {}
    progress.at_best, progress.exploited = {}, None


def _weights(lab: Lab, names: tuple[ModelName, ...]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value.clone() for name in names for key, value in lab.model(name).state_dict().items()}
