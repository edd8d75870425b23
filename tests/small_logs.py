"""Logs of small simulated worlds, shared by tests of training and of runs."""

from pathlib import Path

import polars as pl

from irecgan.data.log import SessionLog
from irecgan.policies.logging import MixPolicy
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.worlds.mdp import MDPWorld, draw_world

TINY = {
    "units": 8,
    "embedding": 4,
    "layers": 1,
    "user_epochs": 3,
    "agent_epochs": 3,
    "rounds": 2,
    "agent_epochs_per_round": 1,
    "discriminator_epochs": 1,
    "generated_ratio": 0.3,
    "completions": 2,
    "distillation_sessions": 40,
    "distillation_held_out": 10,
    "distillation_epochs": 1,
}


def small_world() -> MDPWorld:
    return draw_world("dirichlet:0.1", states=3, items=8, slate_size=3, seed=5)


def small_log(sessions: int = 60, *, world: MDPWorld | None = None, seed: int = 0) -> SessionLog:
    world = world or small_world()
    return simulated_log(MixPolicy(world), world, sessions, max_length=30, streams=Streams(seed))


def prepared(path: Path, frame: pl.DataFrame, rows: int = 16) -> Path:
    """``frame`` at ``path``, in row groups of ``rows``."""
    frame.write_parquet(path, row_group_size=rows)
    return path
