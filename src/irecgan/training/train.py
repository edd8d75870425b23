"""From a session log to a run directory."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.files import file_errors, read_json, refuse_existing, remove_leftovers, write_json
from irecgan.policies.co_click import co_clicks
from irecgan.policies.popularity import return_weighted_counts
from irecgan.runs.manifest import MANIFEST, Manifest, Origin
from irecgan.runs.store import Run, save_run
from irecgan.runs.trained import TrainedPolicy, load_policy
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab, make_lab
from irecgan.training.loop import CHECKPOINT, run_phases
from irecgan.training.recipes import Recipe, find_recipe

BEGUN = "training.json"
"""What a training that is under way began with; gone when it is finished."""


def train(
    log: SessionLog | Path | str,
    *,
    out: Path | str,
    recipe: str = "irecgan",
    validation: SessionLog | Path | str | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | TrainingConfig | None = None,
    resume: bool = False,
) -> TrainedPolicy:
    """Learn a policy from ``log`` and write it to the directory ``out``.

    Args:
        log: a session log, or its file.
        out: the run directory to make.
        recipe: a name of `irecgan.training.recipes.RECIPES`.
        validation: sessions to stop by; by default a share of ``log`` is held out.
        seed: of all that is random. Same seed, same log, same settings: same weights.
        settings: keys of `TrainingConfig` that differ from their defaults.
        resume: go on with a training in ``out`` that was interrupted. The weights come out as if it had not been.

    Raises:
        UserError: a setting or the log is wrong, ``out`` is taken, or ``resume`` meets another training.

    """
    found, directory = find_recipe(recipe), Path(out)
    config = settings if isinstance(settings, TrainingConfig) else TrainingConfig.checked(dict(settings or {}))
    streams = Streams(seed)
    train_log = log if isinstance(log, SessionLog) else SessionLog.read(log)
    held_out = SessionLog.read(validation) if isinstance(validation, Path | str) else validation
    catalogue = Catalogue.from_log(train_log)
    data = _training_data(train_log, held_out, catalogue, config, streams)
    origin = Origin(recipe=recipe, seed=seed, settings=config.model_dump(), log=data.fingerprint())
    fresh = not _take_up(directory, origin, resume=resume)
    if not (directory / MANIFEST).exists():
        try:
            lab = make_lab(
                data, config, streams, found.agent_loss, found.heads, judge=found.judge, teaches=found.teaches
            )
            with file_errors(directory):
                run_phases(found, lab, directory)
        except UserError:
            if fresh:
                shutil.rmtree(directory)
            raise
        _finish(directory, found, lab, catalogue, origin)
    return load_policy(directory)


def _training_data(
    log: SessionLog, validation: SessionLog | None, catalogue: Catalogue, config: TrainingConfig, streams: Streams
) -> TrainingData:
    if log.frame["click"].null_count() == log.steps:
        raise UserError(f"{log.name}: column click: found no click on any row; there is nothing to learn from")
    if validation is None:
        sessions = encode(log, catalogue)
        rest, held = hold_out(sessions, config.validation_share, streams.torch("hold-out"), log.name)
        return TrainingData(rest, held, log.ends_unclicked)
    final_slates = log.ends_unclicked and validation.ends_unclicked
    learn, stop_by = (encode(part, catalogue, final_slates=final_slates) for part in (log, validation))
    return TrainingData(learn, stop_by, final_slates)


def _take_up(directory: Path, origin: Origin, *, resume: bool) -> bool:
    """Make the directory, or find the same training in it; whether there was one.

    Raises UserError when the directory is taken, or holds a training that began otherwise.
    """
    if resume and (directory / MANIFEST).exists():
        _expect_same(directory / MANIFEST, Manifest.read(directory).origin, origin)
        logging.getLogger("irecgan").warning("%s: is finished already", directory)
        _clear(directory)
        return True
    if resume and (directory / BEGUN).exists():
        _expect_same(directory / BEGUN, Origin.parse(directory / BEGUN, read_json(directory / BEGUN)), origin)
        remove_leftovers(directory)
        return True
    if (directory / BEGUN).exists():
        raise UserError(f"{directory}: holds a training that was interrupted; go on with --resume, or remove it first")
    if resume:
        remove_leftovers(directory, BEGUN)  # killed before it began
    refuse_existing(directory)
    write_json(directory / BEGUN, origin.model_dump())
    return False


def _expect_same(path: Path, begun: Origin, now: Origin) -> None:
    before, after = ({**o.model_dump(exclude={"settings"}), **o.settings} for o in (begun, now))
    for key in before | after:
        if before.get(key) != after.get(key):
            raise UserError(
                f"--resume: {path} began with {key}={before.get(key)!r}, found {after.get(key)!r}; "
                "expected the same log, recipe, seed and settings"
            )


def _finish(directory: Path, recipe: Recipe, lab: Lab, catalogue: Catalogue, origin: Origin) -> None:
    config, data = lab.config, lab.data
    run = Run(
        deploys=recipe.deploys,
        networks={name: lab.model(name) for name in recipe.teaches},
        catalogue=catalogue,
        popularity=return_weighted_counts(data.train, config.gamma, config.lambda_r),
        slate_size=lab.slate_size,
        final_slates=data.final_slates,
        co_clicks=co_clicks(data.train),
    )
    save_run(directory, run, origin, size=config.size(data.items), stop=config.stop, reward_law=data.reward_law)
    _clear(directory)


def _clear(directory: Path) -> None:
    """Remove what only a training under way needs."""
    for name in (CHECKPOINT, BEGUN):
        (directory / name).unlink(missing_ok=True)
