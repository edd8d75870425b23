"""One cell of figure 3: rounds of interaction with a simulated world, and of learning from it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from irecgan.data.batch import Sessions
from irecgan.evaluation.online import play, summarise, witnessed
from irecgan.experiments.figure3.settings import METHODS, Figure3Cell, Figure3Settings, Method
from irecgan.experiments.frame.study import Json
from irecgan.policies.interface import Policy, Ranker
from irecgan.policies.logging import RandomPolicy
from irecgan.policies.popularity import Popularity, return_weighted_counts
from irecgan.policies.ranking import RankingPolicy, UserRanker
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab, make_lab
from irecgan.training.phases import Phase
from irecgan.worlds.mdp import MDPWorld, draw_world


def work(settings: Figure3Settings, cell: Figure3Cell, scratch: Path) -> Json:  # noqa: ARG001
    """For every round: what its interactions brought, and what the policy is worth after it with top-k slates."""
    world, method = draw_world(cell.law, seed=cell.seed), METHODS[cell.method]
    streams = Streams(cell.seed).child("figure3")
    config = TrainingConfig.parse([f"agent_epochs_per_round={settings.offline_epochs}"], settings.preset)
    lab = make_lab(_nothing_yet(world), config, streams.child(cell.method), method.agent_loss)
    collected: list[Sessions] = []
    interaction, afterwards = [], []
    for index in range(settings.rounds):
        policy = _policy(method, lab, world, sampled=method.sampled)
        played = witnessed(policy, world, settings.sessions, streams.torch("interact", index))
        interaction.append(summarise([played], world).to_json())
        collected.append(Sessions.from_batch(played[0]))
        lab = _learn(method, lab, collected, settings, index)
        top = _policy(method, lab, world, sampled=False)
        afterwards.append(play(top, world, settings.evaluation_sessions, streams.child("after")).to_json())
    return {"interaction": interaction, "afterwards": afterwards}


def _learn(method: Method, lab: Lab, collected: Sequence[Sessions], settings: Figure3Settings, index: int) -> Lab:
    """The two stages of learning after a round. The models of the lab learn on; its data are those so far."""
    if method.online:
        loss = lab.loss("agent", lab.streams.torch("online", index, "negatives"))
        shuffle = lab.streams.torch("online", index)
        lab.learners["agent"].epoch(loss, collected[-1], lab.config.batch_size, shuffle)
    held = lab.streams.torch("hold-out", index)
    train, validation = hold_out(Sessions.concat(collected), lab.config.validation_share, held)
    lab = replace(lab, data=TrainingData(train, validation, final_slates=True))
    for phase in (*(method.first if index == 0 else ()), *method.offline):
        for unit in range(_units(phase, settings)):
            phase.unit(lab, index * settings.offline_epochs + unit)
    return lab


def _units(phase: Phase, settings: Figure3Settings) -> int:
    """A round holds the agent's epochs itself; fits are repeated as often."""
    return settings.offline_epochs if phase.name == "fit-agent" else 1


def _policy(method: Method, lab: Lab, world: MDPWorld, *, sampled: bool) -> Policy[Any]:
    rankers: dict[str, Callable[[], Ranker[Any]]] = {
        "agent": lambda: lab.agent,
        "user": lambda: UserRanker(lab.user),
        "count": lambda: Popularity(return_weighted_counts(lab.data.all, lab.config.gamma, lab.config.lambda_r)),
    }
    return RankingPolicy(rankers[method.acts](), world.slate_size, sampled=sampled)


def _nothing_yet(world: MDPWorld) -> TrainingData:
    """No sessions, over the items of ``world``."""
    random = RandomPolicy(world.catalogue_size, world.slate_size)
    batch = rollout(random, world, 1, max_length=1, generator=torch.Generator().manual_seed(0))
    none = Sessions.from_batch(batch).select(torch.arange(0))
    return TrainingData(none, none, final_slates=True)
