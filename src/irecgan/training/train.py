"""From a session log to a run directory."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encoded_parts
from irecgan.data.location import find_prepared
from irecgan.data.log import Log, SessionLog
from irecgan.data.scanned import read_or_scan
from irecgan.data.statistics import ItemCounts
from irecgan.data.stored import BLOCK, stored
from irecgan.devices import find_device
from irecgan.errors import UserError
from irecgan.files import file_errors, parents_made
from irecgan.models.lists import ListUserModel
from irecgan.models.networks import ModelName, Network, grown
from irecgan.models.user import RecurrentUserModel
from irecgan.policies.co_click import co_clicks
from irecgan.policies.popularity import return_weighted_counts
from irecgan.runs.manifest import MANIFEST, Decision, Origin
from irecgan.runs.store import Run, save_run
from irecgan.runs.trained import TrainedPolicy, load_policy
from irecgan.seeding import Streams
from irecgan.training.choice.auto import choose
from irecgan.training.columns import Columns, Told, beside, read_columns, wanted_context
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out_rows, with_clicks
from irecgan.training.directory import clear, removed_where_refused, take_up
from irecgan.training.distributed import Processes, process_group
from irecgan.training.information import set_covariance
from irecgan.training.lab import Lab, make_lab, with_told_terms
from irecgan.training.loop import run_phases
from irecgan.training.recipes import Recipe, admitted, find_recipe


def train(
    log: SessionLog | Path | str,
    *,
    out: Path | str,
    recipe: str = "irecgan",
    validation: SessionLog | Path | str | None = None,
    items: Told | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | TrainingConfig | None = None,
    resume: bool = False,
    device: str = "cpu",
) -> TrainedPolicy:
    """Learn a policy from ``log`` and write it to the directory ``out``.

    Called in several processes, by torchrun or in any process group of torch that is there already, it trains
    data-parallel: every process reads the log, takes its share of every batch, and the first one writes ``out``.
    All have to be called with the same arguments.

    Args:
        log: a session log, its file, or a directory made by `irecgan.data.prepare.prepare`.
        out: the run directory to make.
        recipe: a name of `irecgan.training.recipes.RECIPES`; ``auto`` chooses one, and `run.json` says why.
        validation: sessions to stop by; by default those of a prepared directory, else a share of ``log`` is held out.
        items: what is told of items, for the setting ``item_features``; by default ``items.parquet`` beside the log's
            file. Items that are not in the log join the catalogue.
        seed: of all that is random. Same seed, same log, same settings: same weights.
        settings: keys of `TrainingConfig` that differ from their defaults.
        resume: go on with a training in ``out`` that was interrupted. The weights come out as if it had not been.
        device: ``cpu``, ``cuda`` or ``auto``; with several processes on a machine each has a GPU of its own. Recipes
            that fit users or lists do so on the CPU, and refuse ``cuda``.

    Raises:
        UserError: a setting or the log is wrong, ``out`` is taken, ``resume`` meets another training, or there is no
            such device.
        LostProcessError: another process ended, or does not answer; ``resume`` goes on from the last checkpoint.

    """
    learns = find_recipe(recipe)
    config = TrainingConfig.of(settings).over(learns.settings)
    log, validation = _parts(log, validation)
    asked = _Asked(log, validation, items, Path(out), learns, seed, config)
    device = "cpu" if device == "auto" and learns.by_one else device
    with process_group(find_device(device), config.wait_minutes) as processes:
        return _train(asked, processes, resume=resume)


@dataclass(frozen=True)
class _Asked:
    """What `train` is asked for."""

    log: SessionLog | Path | str
    validation: SessionLog | Path | str | None
    items: Told | None
    out: Path
    recipe: Recipe
    seed: int
    config: TrainingConfig


def _parts(
    log: SessionLog | Path | str, validation: SessionLog | Path | str | None
) -> tuple[SessionLog | Path | str, SessionLog | Path | str | None]:
    """What to learn from and what to stop by: of a prepared directory its parts."""
    prepared = None if isinstance(log, SessionLog) else find_prepared(Path(log))
    if validation is not None and not isinstance(validation, SessionLog):
        other = find_prepared(Path(validation))
        validation = other.validation if other else validation
    if prepared is None:
        return log, validation
    return prepared.train, prepared.validation if validation is None else validation


def _train(asked: _Asked, processes: Processes, *, resume: bool) -> TrainedPolicy:
    recipe, config, directory = asked.recipe, asked.config, asked.out
    _refuse_impossible(recipe, config, processes)
    streams = Streams(asked.seed)
    data, columns = _read(asked, streams)
    config = with_told_terms(config, data)
    origin = Origin(
        recipe=recipe.name,
        seed=asked.seed,
        settings=config.model_dump(mode="json"),
        log=data.fingerprint(columns.catalogue, touched=bool(config.terms) or recipe.chooses),
        device=processes.device.type,
        processes=processes.size,
    )
    processes.expect_same([(key, str(value)) for key, value in origin.model_dump().items()])
    with parents_made(directory) if processes.first else nullcontext():
        fresh = processes.first_does(lambda: not take_up(directory, origin, resume=resume))
        if not (directory / MANIFEST).exists():
            with removed_where_refused(directory, fresh=fresh and processes.first), file_errors(directory):
                learns, lab, decision = _learned(recipe, data, config, streams, directory, processes=processes)
            if processes.first:
                _finish(directory, learns, lab, columns, origin, decision=decision)
    processes.wait()
    return load_policy(directory)


def _refuse_impossible(asked: Recipe, config: TrainingConfig, processes: Processes) -> None:
    """Raise UserError where the recipe, so many processes, or their device, cannot learn by the settings."""
    for key in asked.unread(config):
        found = getattr(config, key)
        raise UserError(f"setting {key}: found {found} with recipe {asked.name}, which does not read it; expected none")
    if processes.size > 1 and asked.by_one:
        raise UserError(f"recipe {asked.name}: found {processes.size} processes; it is fitted by one")
    if processes.device.type != "cpu" and asked.by_one:
        raise UserError(f"recipe {asked.name}: found --device {processes.device.type}; it is fitted on the cpu")
    if config.precision != "float32" and processes.device.type == "cpu":
        raise UserError(f"setting precision: found {config.precision} on the CPU; expected float32, or a GPU")


def _learned(
    asked: Recipe,
    data: TrainingData,
    config: TrainingConfig,
    streams: Streams,
    directory: Path,
    *,
    processes: Processes,
) -> tuple[Recipe, Lab, Decision | None]:
    """What learned in the name of the recipe ``asked``, where, and why."""
    learns, decision = choose(data, config, streams, directory) if asked.chooses else admitted(asked, data, streams)
    if processes.first:
        _tell(directory, asked, decision)
        _warn_of_unknown_ends(directory, learns, data)
    lab = make_lab(
        replace(data, inputs=learns.reading(data.inputs)),
        config.over(learns.settings) if asked.chooses else config,
        streams,
        learns.agent_loss,
        learns.heads,
        judge=learns.judge,
        teaches=learns.teaches,
        processes=processes,
    )
    run_phases(learns, lab, directory)
    return learns, lab, decision


def _read(asked: _Asked, streams: Streams) -> tuple[TrainingData, Columns]:
    """The encoded sessions and their items. Only they stay in memory, and of a large log not even they."""
    config = asked.config
    train_log = _opened(asked.log, config)
    held_out = None if asked.validation is None else _opened(asked.validation, config)
    catalogue = Catalogue.from_log(train_log)
    if not train_log.clicks:
        raise UserError(f"{train_log.name}: column click: found no click on any row; there is nothing to learn from")
    columns = read_columns(train_log, catalogue, config, beside(asked.log) if asked.items is None else asked.items)
    inputs, context = columns.learned(len(catalogue)), columns.inputs.context
    keep = _in_memory if train_log.steps <= config.in_memory_steps else partial(stored, directory=_existing(asked.out))
    final_slates = train_log.ends_unclicked
    if held_out is None:
        sessions = keep(encoded_parts(train_log, catalogue, final_slates=final_slates, context=context))
        parts = hold_out_rows(len(sessions), config.validation_share, streams.torch("hold-out"), train_log.name)
        rest, held = (keep(sessions.select(some) for some in rows.split(BLOCK)) for rows in parts)
        return with_clicks(TrainingData(rest, held, final_slates, inputs), train_log.name), columns
    learn, stop_by = (
        keep(encoded_parts(part, catalogue, final_slates=final_slates, context=context))
        for part in (train_log, held_out)
    )
    if not bool((stop_by.click < len(catalogue)).any()):
        raise UserError(f"{held_out.name}: column click: found no click on an item of {train_log.name}; expected some")
    return TrainingData(learn, stop_by, final_slates, inputs), columns


def _opened(log: SessionLog | Path | str, config: TrainingConfig) -> Log:
    if isinstance(log, SessionLog):
        return log
    return read_or_scan(Path(log), config.in_memory_steps, wanted_context(config))


def _in_memory(parts: Iterable[Sessions]) -> Sessions:
    return Sessions.concat(list(parts))


def _existing(path: Path) -> Path:
    """The directory ``path``, or the first above it that is there."""
    return next(parent for parent in (path, *path.absolute().parents) if parent.is_dir())


def _tell(directory: Path, recipe: Recipe, decision: Decision | None) -> None:
    """Warn when another recipe learns than was asked for."""
    if decision is not None and decision.learned != recipe.name and not recipe.chooses:
        logging.getLogger("irecgan").warning(
            "%s: %s; %s learns in place of %s", directory, decision.reason, decision.learned, recipe.name
        )


def _warn_of_unknown_ends(directory: Path, learns: Recipe, data: TrainingData) -> None:
    """Warn when plans are made for users of whom it is not known what they leave at."""
    if "latent" in learns.teaches and not data.final_slates:
        logging.getLogger("irecgan").warning(
            "%s: the log does not tell at which slates users leave; all items are taken to keep them alike, "
            "and what is planned is worth little",
            directory,
        )


def _finish(
    directory: Path, recipe: Recipe, lab: Lab, columns: Columns, origin: Origin, *, decision: Decision | None
) -> None:
    config, data = lab.config, lab.data
    for model in (lab.model(name) for name in recipe.teaches):
        if isinstance(model, RecurrentUserModel | ListUserModel):
            set_covariance(model, data.train)
    size, new = config.size(len(columns.catalogue)), len(columns.catalogue) - data.items
    inputs = recipe.reading(columns.inputs)

    def network(name: ModelName) -> Network:
        made = lab.model(name)
        return grown(name, made, size, config.stop, data.reward_law, inputs=inputs) if new else made

    popularity = return_weighted_counts(data.train, config.gamma, config.lambda_r)  # (2, n)
    run = Run(
        deploys=recipe.deploys,
        networks={name: network(name) for name in recipe.teaches},
        catalogue=columns.catalogue,
        popularity=nn.functional.pad(popularity, (0, new)),
        slate_size=lab.slate_size,
        final_slates=data.final_slates,
        co_clicks=co_clicks(data.train).with_new_items(new),
        counts=ItemCounts.of(data.train).with_new_items(new),
        inputs=inputs,
        table=None if inputs.items is None else columns.table,
    )
    save_run(directory, run, origin, size=size, stop=config.stop, reward_law=data.reward_law, decision=decision)
    clear(directory)
