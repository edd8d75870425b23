"""What table 1 varies, and its cells."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from irecgan.data.location import find_prepared
from irecgan.errors import UserError
from irecgan.experiments.frame.study import Cell, Distinct, Models, Preset, Seeds, Settings
from irecgan.files import digest_of
from irecgan.training.config import Positive
from irecgan.training.recipes import COMPARED

NAIVE = "naive"
SHOP = "shop"
"""The log that is simulated here when no other is given: its true values are known."""

Split = Literal["random", "time"]


class Shop(Settings):
    """The size of the shop world and of its log."""

    items: Annotated[int, Field(ge=2)]
    sessions: Positive  # logged; those of one click or more than 40 are dropped, as in the paper
    evaluation_sessions: Positive  # played by each policy in the true world


class Table1Settings(Settings):
    """The paper's section 7.2: train on one part of a log, rerank the lists of another."""

    shop: Shop
    logs: tuple[str, ...] = ()  # prepared directories; none = the shop
    splits: Distinct[Split] = ("random",)
    models: Models = COMPARED
    seeds: Seeds = 5
    min_candidates: Annotated[int, Field(ge=2)] = 11
    preset: Preset = "small"  # of the trainings
    training: tuple[str, ...] = ()  # changes of it, as key=value


class Table1Cell(Cell):
    """One row of the table on one split of one log."""

    log: str
    split: Split
    seed: int
    row: str


PRESETS = {
    "quick": Table1Settings(shop=Shop(items=2_000, sessions=15_000, evaluation_sessions=4_000)),
    "paper": Table1Settings(
        shop=Shop(items=40_000, sessions=90_000, evaluation_sessions=20_000), seeds=10, preset="paper"
    ),
}


def cells(settings: Table1Settings) -> list[Table1Cell]:
    """All cells, the slowest models first. Raises UserError when a log is no prepared directory."""
    logs = [SHOP] if not settings.logs else list(locations(settings))
    return [
        Table1Cell(log=log, split=split, seed=seed, row=row)
        for row in (*reversed(settings.models), NAIVE)
        for log in logs
        for split in settings.splits
        for seed in range(settings.seeds)
    ]


def inputs(settings: Table1Settings) -> dict[str, str]:
    """A digest of each log that is given."""
    found = {name: find_prepared(path) for name, path in locations(settings).items()}
    return {f"--log {name}": digest_of(*prepared.files) for name, prepared in found.items() if prepared is not None}


def locations(settings: Table1Settings) -> dict[str, Path]:
    """The prepared directories by their names."""
    paths = [Path(log) for log in settings.logs]
    for path in paths:
        if find_prepared(path) is None:
            raise UserError(f"--log {path}: not a prepared log; expected a directory that 'irecgan prepare' made")
    names = [path.name for path in paths]
    if len(set(names)) < len(names) or SHOP in names:
        raise UserError(f"--log: found folders named {', '.join(names)}; expected different names, none of them {SHOP}")
    return dict(zip(names, paths, strict=True))
