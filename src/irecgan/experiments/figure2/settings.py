"""What figure 2 varies, and its cells."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from irecgan.experiments.frame.study import Cell, Distinct, Models, Preset, Seeds, Settings
from irecgan.training.config import Positive
from irecgan.training.recipes import COMPARED

REFERENCES = "references"
NAIVE = "naive"


class Block(BaseModel):
    """A full grid of logging policies and log sizes under one law of transitions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    law: str
    logs: Distinct[Literal["random", "max", "mix"]]
    sizes: Distinct[Positive]


class Figure2Settings(Settings):
    """The paper's section 7.1: m = 10 states, n = 50 items, slates of k = 10."""

    blocks: Distinct[Block]
    models: Models = COMPARED
    seeds: Seeds = 5
    evaluation_sessions: Positive = 20_000
    preset: Preset = "small"  # of the trainings


class Figure2Cell(Cell):
    """One row of the figure on one log; REFERENCES needs no log: it knows the world."""

    law: str
    log: str
    sessions: int
    seed: int
    row: str


_LOGS: tuple[Literal["random", "max", "mix"], ...] = ("random", "max", "mix")
_LAWS = ("softmax", "dirichlet:0.02")

PRESETS = {
    "quick": Figure2Settings(
        blocks=tuple(Block(law=law, logs=_LOGS, sizes=(200,)) for law in _LAWS), evaluation_sessions=8_000
    ),
    "paper": Figure2Settings(
        blocks=tuple(Block(law=law, logs=_LOGS, sizes=(200, 1_000, 10_000)) for law in _LAWS), preset="paper"
    ),
}


def cells(settings: Figure2Settings) -> list[Figure2Cell]:
    """All cells, the longest first so that no process is left with one at the end."""
    grid = [
        Figure2Cell(law=block.law, log=log, sessions=size, seed=seed, row=row)
        for block in settings.blocks
        for log in block.logs
        for size in block.sizes
        for seed in range(settings.seeds)
        for row in (NAIVE, *settings.models)
    ]
    worlds = dict.fromkeys((cell.law, cell.seed) for cell in grid)
    known = [Figure2Cell(law=law, log="none", sessions=0, seed=seed, row=REFERENCES) for law, seed in worlds]
    return sorted(known + grid, key=lambda cell: -cell.sessions)
