"""What the experiment ``beyond`` varies, and its cells."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from irecgan.data.columns import TIMESTAMP
from irecgan.data.location import find_prepared
from irecgan.experiments.beyond.given import given_worlds, read_given
from irecgan.experiments.frame.study import Cell, Distinct, Models, Preset, Seeds, Settings
from irecgan.experiments.table1.settings import NAIVE, SHOP, Shop, Split, Table1Cell, Table1Settings, locations
from irecgan.experiments.table1.settings import inputs as lists_inputs
from irecgan.files import digest_of
from irecgan.training.config import Positive
from irecgan.training.lists.boosting import has_lightgbm

REFERENCES = "references"
AUTO = "auto"
"""The recipe that chooses among others."""
BOOSTING = "boosting"
"""The recipe that needs an extra of the installation: without it a study goes without this row."""

_LOGGER = logging.getLogger("irecgan")

Log = Literal["random", "max", "mix"]
_LOGS: tuple[Log, ...] = ("mix", "max", "random")


class Block(BaseModel):
    """Logs of one size of one kind of world."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    law: str
    logs: Distinct[Log]
    sessions: Positive
    states: Positive = 10
    items: Positive = 50
    slate_size: Positive = 10
    seeds: Seeds | None = None  # as many as the whole study has, when not given


class BeyondSettings(Settings):
    """Worlds with hidden states, a shop whose truth is known, and logs that are given."""

    blocks: tuple[Block, ...]
    models: Models
    seeds: Seeds = 10
    first_seed: Annotated[int, Field(ge=0)] = 0  # of worlds, shops and repeats: others are held out
    worlds: tuple[str, ...] = ()  # files of worlds beside those that are drawn; each has a log of each policy a seed
    world_sessions: Positive = 1_000  # in each of their logs
    evaluation_sessions: Positive = 8_000
    preset: Preset = "small"  # of the trainings
    shop: Shop
    shop_seeds: Annotated[int, Field(ge=0)] = 3  # shops; 0 leaves them out
    logs: tuple[str, ...] = ()  # prepared directories, beside the shop
    list_models: Models
    list_seeds: Seeds = 3
    min_candidates: Annotated[int, Field(ge=2)] = 2

    @property
    def lists(self) -> Table1Settings:
        """The shop, and the logs that are given, as table 1 has them."""
        return Table1Settings(
            shop=self.shop,
            logs=self.logs,
            models=self.list_models,
            seeds=self.list_seeds,
            min_candidates=self.min_candidates,
            preset=self.preset,
            training=("choose_by=lists",),  # something else retrieved them
        )


GROWS = (
    *("blocks", "models", "seeds", "first_seed", "worlds", "world_sessions"),
    *("shop_seeds", "logs", "list_models", "list_seeds"),
)
"""Settings that say which cells there are, and change none of them."""


class WorldCell(Cell):
    """One row on one log of one world; REFERENCES needs no log: it knows the world."""

    law: str  # that the world was drawn by, or the name of one that is given
    states: int
    items: int
    slate_size: int
    log: str
    sessions: int
    seed: int
    row: str


BeyondCell = WorldCell | Table1Cell

_WORLD_MODELS = ("count", "pg", "slate", "latent", "latent-distilled", "auto")
_LIST_MODELS = ("lstm", "gru4rec", "pg", "linear", "boosting", "terms", "auto")
_HISTORY, _NONE = "dirichlet:0.02", "softmax"


def _blocks(sessions: int) -> tuple[Block, ...]:
    return tuple(Block(law=law, logs=_LOGS, sessions=sessions) for law in (_HISTORY, _NONE))


_OTHERS = tuple(
    Block(law=law, logs=_LOGS, sessions=1_000, seeds=3, **{size: value})
    for law in (_HISTORY, _NONE)
    for size, value in (("states", 5), ("states", 20), ("items", 200), ("slate_size", 5))
)

_GOALS = (
    Block(law=_HISTORY, logs=("mix", "max"), sessions=1_000),
    Block(law=_HISTORY, logs=("random",), sessions=1_000, seeds=30),  # differences are small, and cells fast
    Block(law=_NONE, logs=_LOGS, sessions=1_000),
    Block(law=_HISTORY, logs=("mix",), sessions=10_000),
)

_PAPER = BeyondSettings(
    blocks=(*_GOALS, *_OTHERS),
    models=_WORLD_MODELS,
    shop=Shop(items=2_000, sessions=15_000, evaluation_sessions=8_000),
    list_models=_LIST_MODELS,
)

PRESETS = {
    "quick": BeyondSettings(
        blocks=_blocks(300),
        models=_WORLD_MODELS,
        seeds=3,
        world_sessions=300,
        evaluation_sessions=4_000,
        shop=Shop(items=2_000, sessions=5_000, evaluation_sessions=4_000),
        list_models=_LIST_MODELS,
    ),
    "paper": _PAPER,
    "goals": _PAPER.model_copy(update={"blocks": _GOALS, "shop_seeds": 0}),  # no more than goals were set for
}


def cells(settings: BeyondSettings) -> list[BeyondCell]:
    """All cells, seed by seed: one that is cut off has whole seeds.

    Raises UserError when a log is not prepared, or a world that is given cannot be used.
    """
    if BOOSTING in settings.list_models and not has_lightgbm():
        _LOGGER.warning("%s: left out, LightGBM is missing; pip install 'irecgan[boosting]'", BOOSTING)
    blocks = (*settings.blocks, *_given_blocks(settings))
    found: list[BeyondCell] = []
    seeds = [settings.seeds, settings.shop_seeds, settings.list_seeds, *(block.seeds or 0 for block in blocks)]
    for repeat in range(max(seeds)):
        found += _worlds(settings, blocks, repeat)
        found += _lists(settings, repeat)
    return list(dict.fromkeys(found))


def inputs(settings: BeyondSettings) -> dict[str, str]:
    """A digest of each log and world that is given."""
    worlds = {f"--world {name}": digest_of(path) for name, path in given_worlds(settings.worlds).items()}
    return lists_inputs(settings.lists) | worlds


def _given_blocks(settings: BeyondSettings) -> Iterator[Block]:
    """The logs of the worlds that are given."""
    for name, path in given_worlds(settings.worlds).items():
        world = read_given(path)
        yield Block(
            law=name,
            logs=_LOGS,
            sessions=settings.world_sessions,
            states=world.state_count,
            items=world.catalogue_size,
            slate_size=world.slate_size,
        )


def _worlds(settings: BeyondSettings, blocks: Sequence[Block], repeat: int) -> list[WorldCell]:
    """The references of a world stand before what was learned from its logs."""
    return [
        WorldCell(
            **block.model_dump(include={"law", "states", "items", "slate_size"}),
            log="none" if row == REFERENCES else log,
            sessions=0 if row == REFERENCES else block.sessions,
            seed=settings.first_seed + repeat,
            row=row,
        )
        for block in blocks
        if repeat < (block.seeds or settings.seeds)
        for log in block.logs
        for row in (REFERENCES, *settings.models)
    ]


def _lists(settings: BeyondSettings, repeat: int) -> list[Table1Cell]:
    splits: dict[str, Split] = {SHOP: "random"} if repeat < settings.shop_seeds else {}
    if repeat < settings.list_seeds:
        splits |= {name: _split(path) for name, path in locations(settings.lists).items()}
    return [
        Table1Cell(log=log, split=split, seed=settings.first_seed + repeat, row=row)
        for log, split in splits.items()
        for row in (NAIVE, *settings.list_models)
        if row != BOOSTING or has_lightgbm()
    ]


def _split(prepared: Path) -> Split:
    """By time where the log has times, as a policy that is deployed meets sessions that are later."""
    found = find_prepared(prepared)
    if found is None:
        raise ValueError(f"{prepared}: not a prepared log")
    return "time" if TIMESTAMP in pl.read_parquet_schema(found.train) else "random"
