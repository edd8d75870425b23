"""What the experiment ``beyond`` varies, and its cells."""

from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from irecgan.data.columns import TIMESTAMP
from irecgan.data.location import find_prepared
from irecgan.experiments.frame.study import Cell, Models, Seeds, Settings
from irecgan.experiments.table1.settings import NAIVE as LIST_NAIVE
from irecgan.experiments.table1.settings import SHOP, Shop, Split, Table1Cell, Table1Settings, locations

REFERENCES = "references"

Log = Literal["random", "max", "mix"]
Size = Annotated[int, Field(ge=1)]


class Block(BaseModel):
    """Logs of one size of one kind of world."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    law: str
    logs: tuple[Log, ...]
    sessions: Size
    states: Size = 10
    items: Size = 50
    slate_size: Size = 10


class BeyondSettings(Settings):
    """Worlds with hidden states, a shop whose truth is known, and logs that are given."""

    blocks: tuple[Block, ...]
    models: Models
    seeds: Seeds = 10
    evaluation_sessions: Size = 8_000
    preset: str = "small"  # of the trainings
    shop: Shop
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
        )


class WorldCell(Cell):
    """One row on one log of one world; REFERENCES needs no log: it knows the world."""

    law: str
    states: int
    items: int
    slate_size: int
    log: str
    sessions: int
    seed: int
    row: str


BeyondCell = WorldCell | Table1Cell

_WORLD_MODELS = ("pg", "irecgan", "auto")
_LIST_MODELS = ("lstm", "pg", "gru4rec")
_HISTORY, _NONE = "dirichlet:0.02", "softmax"


def _blocks(sessions: int, more: int) -> tuple[Block, ...]:
    """The logs of the target table, and other sizes of worlds."""
    same = tuple(Block(law=law, logs=("mix", "max", "random"), sessions=sessions) for law in (_HISTORY, _NONE))
    others = (
        Block(law=_HISTORY, logs=("mix",), sessions=more),
        Block(law=_HISTORY, logs=("mix",), sessions=sessions, states=5),
        Block(law=_HISTORY, logs=("mix",), sessions=sessions, states=20),
        Block(law=_HISTORY, logs=("mix",), sessions=sessions, items=200),
        Block(law=_HISTORY, logs=("mix",), sessions=sessions, slate_size=5),
    )
    return (*same, *others)


PRESETS = {
    "quick": BeyondSettings(
        blocks=tuple(Block(law=law, logs=("mix", "max", "random"), sessions=300) for law in (_HISTORY, _NONE)),
        models=_WORLD_MODELS,
        seeds=3,
        evaluation_sessions=4_000,
        shop=Shop(items=2_000, sessions=5_000, evaluation_sessions=4_000),
        list_models=_LIST_MODELS,
    ),
    "paper": BeyondSettings(
        blocks=_blocks(1_000, 10_000),
        models=_WORLD_MODELS,
        shop=Shop(items=2_000, sessions=15_000, evaluation_sessions=8_000),
        list_models=_LIST_MODELS,
    ),
}


def cells(settings: BeyondSettings) -> list[BeyondCell]:
    """All cells, the longest first. Raises UserError when a log is no prepared directory."""
    learned = [
        WorldCell(**block.model_dump(exclude={"logs"}), log=log, seed=seed, row=row)
        for row in reversed(settings.models)
        for block in settings.blocks
        for log in block.logs
        for seed in range(settings.seeds)
    ]
    known = dict.fromkeys(cell.model_copy(update={"log": "none", "sessions": 0, "row": REFERENCES}) for cell in learned)
    splits: dict[str, Split] = {SHOP: "random"}
    splits |= {name: _split(path) for name, path in locations(settings.lists).items()}
    lists = [
        Table1Cell(log=log, split=split, seed=seed, row=row)
        for row in (*settings.list_models, LIST_NAIVE)
        for log, split in splits.items()
        for seed in range(settings.list_seeds)
    ]
    by_size = sorted(learned, key=lambda cell: -cell.sessions * cell.states)
    return [*by_size, *lists, *known]


def _split(prepared: Path) -> Split:
    """By time where the log has times, as a policy that is deployed meets sessions that are later."""
    found = find_prepared(prepared)
    if found is None:
        raise ValueError(f"{prepared}: not a prepared log")
    return "time" if TIMESTAMP in pl.read_parquet_schema(found.train) else "random"
