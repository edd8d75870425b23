"""The simulated online test (7.1): policies play in a world whose truth is known."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.evaluation.intervals import Interval, normal_ratios
from irecgan.evaluation.metrics import coverage
from irecgan.policies.interface import Policy
from irecgan.policies.witness import Witness
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.simulation import LONGEST
from irecgan.worlds.mdp import MDPWorld
from irecgan.worlds.values import candidate_values, candidate_visits, slate_candidates

DEPTH = 10  # coverage@1 .. coverage@10
_CHUNK = 5_000


@dataclass(frozen=True)
class OnlineResult:
    """What a policy is worth in a world."""

    cumulative_reward: Interval  # per session
    coverage: list[Interval]  # @1, @2, ...: means over all steps, the one at which the user leaves included
    clicks: float  # mean per session
    cut: int  # sessions cut at LONGEST

    def to_json(self) -> dict[str, Any]:
        """``cumulative_reward``, ``coverage`` (means), ``coverage_intervals``, ``clicks`` and ``cut``."""
        return {
            "cumulative_reward": self.cumulative_reward.to_json(),
            "coverage": {str(r): interval.mean for r, interval in enumerate(self.coverage, start=1)},
            "coverage_intervals": {str(r): interval.to_json() for r, interval in enumerate(self.coverage, start=1)},
            "clicks": self.clicks,
            "cut": self.cut,
        }


def warn_of_cuts(name: str, cut: int, sessions: int) -> None:
    """Warn where up to ``cut`` of the ``sessions`` of a policy in the world ``name`` did not end by themselves."""
    if cut:
        logging.getLogger("irecgan").warning(
            "%s: up to %d of %d sessions were cut after %d clicks; what would have followed is in exact values alone",
            name,
            cut,
            sessions,
            LONGEST,
        )


def play(policy: Policy[Any], world: MDPWorld, sessions: int, streams: Streams) -> OnlineResult:
    """Play ``sessions`` sessions.

    Policies that are played with equal ``streams`` meet the same draws, so their results are paired.
    """
    return summarise(
        (
            witnessed(policy, world, min(_CHUNK, sessions - first), streams.torch("evaluate", first))
            for first in range(0, sessions, _CHUNK)
        ),
        world,
    )


def known(world: MDPWorld, slates: Tensor) -> OnlineResult:
    """What is played by one fixed slate per true state (m, K), exactly, sessions never being cut."""
    candidate = slate_candidates(world.reward, slates)
    visits = candidate_visits(world, candidate)  # (m,)
    state = torch.arange(world.state_count)
    covered = coverage(slates, state, world.ranking, min(DEPTH, world.catalogue_size))  # (m, depth)
    value = float(candidate_values(world, candidate)[world.start_state])
    found = (visits @ covered / visits.sum()).tolist()
    return OnlineResult(Interval.exact(value), [Interval.exact(share) for share in found], clicks=value, cut=0)


def witnessed(
    policy: Policy[Any], world: MDPWorld, sessions: int, generator: torch.Generator
) -> tuple[SessionBatch, Tensor]:
    """Sessions played in ``world``, and the true state at each of their steps (B, T)."""
    witness = Witness(policy)
    batch = rollout(witness, world, sessions, max_length=LONGEST, generator=generator)
    return batch, witness.hidden(*batch.real.shape)


def summarise(played: Iterable[tuple[SessionBatch, Tensor]], world: MDPWorld) -> OnlineResult:
    """What played sessions, with the true states at their steps, say of their policy.

    Coverage@r is given up to r = DEPTH, or the number of items when that is smaller.
    """
    depth, parts = min(DEPTH, world.catalogue_size), []
    for batch, hidden in played:
        real = batch.real
        covered = coverage(batch.slate[real], hidden[real], world.ranking, depth)  # (M, depth)
        session = real.nonzero()[:, 0]
        totals = torch.zeros(len(batch), depth, dtype=torch.float64).index_add(0, session, covered)
        columns = [batch.reward.sum(1), batch.clicked.sum(1), batch.steps, ~batch.ended.any(1)]
        parts.append(torch.cat([torch.stack([c.double() for c in columns], dim=1), totals], dim=1))
    table = torch.cat(parts).numpy()  # (S, 4 + depth)
    reward, clicks, steps, cut = table[:, :4].T
    return OnlineResult(
        cumulative_reward=normal_ratios(reward[:, None], np.ones(len(table)))[0].within(0.0, np.inf),
        coverage=[share.within(0.0, 1.0) for share in normal_ratios(table[:, 4:], steps)],
        clicks=float(clicks.mean()),
        cut=int(cut.sum()),
    )
