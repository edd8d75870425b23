"""Logs of simulated sessions, with the propensities that are known (section 7.1)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.data.log import SessionLog
from irecgan.policies.interface import Policy
from irecgan.policies.logging import TellsInclusion
from irecgan.policies.witness import Witness
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.worlds.interface import World
from irecgan.worlds.mdp import MDPWorld

LONGEST = 1_000
"""Clicks after which sessions are cut, unless told otherwise."""
CHUNK = 5_000
"""Sessions played at once."""


def simulate(
    policy: Policy[Any], world: World[Any], sessions: int, *, max_length: int, streams: Streams
) -> Iterator[SessionBatch]:
    """Sessions in batches of CHUNK, cut after ``max_length`` clicks.

    Propensities are exact for policies that tell with what chance they show an item, and nan for others. The first
    sessions of a longer log are those of a shorter one in steps of CHUNK.
    """
    for first in range(0, sessions, CHUNK):
        count = min(CHUNK, sessions - first)
        witness = Witness(policy)
        batch = rollout(witness, world, count, max_length=max_length, generator=streams.torch("sessions", first))
        if isinstance(world, MDPWorld) and isinstance(policy, TellsInclusion):
            hidden = witness.hidden(count, batch.real.shape[1])
            batch = _with_propensity(batch, policy.inclusion(world), hidden)
        yield batch


def simulated_log(
    policy: Policy[Any], world: World[Any], sessions: int, *, max_length: int, streams: Streams, name: str = "log"
) -> SessionLog:
    """The session log of ``sessions`` sessions; ``name`` stands for it in messages."""
    batches = simulate(policy, world, sessions, max_length=max_length, streams=streams)
    frames = (session_frame(batch, i * CHUNK) for i, batch in enumerate(batches))
    return SessionLog.from_frame(pl.concat(frames, how="diagonal"), name)


def session_frame(batch: SessionBatch, first_session: int = 0) -> pl.DataFrame:
    """The rows of a session log: item ids are the item indices, sessions are counted on.

    A column ``propensity`` is there only if some propensity is known; the other columns always are.
    """
    real = batch.real
    session, step = real.nonzero().unbind(1)
    clicked = batch.clicked[real]
    columns = {
        "session_id": pl.Series((session + first_session).numpy()),
        "step": pl.Series(step.numpy()),
        "slate": _slates(batch.slate[real], batch.shown[real]),
        "click": _where(clicked, batch.click[real]),
        "reward": pl.Series(batch.reward[real].numpy()),
    }
    known = ~batch.propensity[real].isnan()
    if known.any():
        columns["propensity"] = _where(known, batch.propensity[real])
    return pl.DataFrame(columns)


def _slates(slate: Tensor, shown: Tensor) -> pl.Series:
    """The items shown, a list a row. (M, K), (M, K) -> (M,)"""
    padded = pl.DataFrame({"slate": pl.Series(slate.numpy()).cast(pl.List(pl.Int64)), "size": shown.sum(1).numpy()})
    return padded.select(pl.col("slate").list.head(pl.col("size"))).to_series()


def _where(condition: Tensor, values: Tensor) -> pl.Series:
    """``values``, null where ``condition`` is false."""
    series = pl.Series(values.numpy())
    return series.set(pl.Series(~condition.numpy()), None)


def _with_propensity(batch: SessionBatch, inclusion: Tensor, hidden: Tensor) -> SessionBatch:
    """The chance ``inclusion`` (m, n) that the clicked item stood in the slate of the state (B, T)."""
    clicked = batch.clicked
    chance = inclusion[hidden[clicked], batch.click[clicked]].float()
    propensity = torch.full_like(batch.propensity, torch.nan)
    return replace(batch, propensity=propensity.masked_scatter(clicked, chance))
