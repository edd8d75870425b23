"""Distillation: an agent learns to show what a planner would show, and serves without planning.

The planner is asked at histories that the agent will meet: some sessions are played by the planner, the others by the
agent itself, so that it learns what to do after its own mistakes (Ross, Gordon and Bagnell, 2011, "A reduction of
imitation learning and structured prediction to no-regret online learning": DAgger).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.models.networks import ModelName
from irecgan.models.user import UserModel
from irecgan.policies.interface import Policy
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import rollout
from irecgan.rows import Rows
from irecgan.training.journal import Metrics, Name
from irecgan.training.lab import Lab
from irecgan.training.learner import mean_loss
from irecgan.training.losses import slate_imitation
from irecgan.worlds.interface import Scene, World
from irecgan.worlds.learned import LearnedWorld

P = TypeVar("P", bound=Rows)
A = TypeVar("A", bound=Rows)


@dataclass(frozen=True)
class Pair(Generic[P, A]):
    """What planner and actor know of R sessions, and which session and step each row is."""

    planner: P
    actor: A
    session: Tensor  # (R,) int64
    step: Tensor  # (R,) int64

    def __len__(self) -> int:
        return len(self.session)

    def take(self, rows: Tensor) -> "Pair[P, A]":
        """A copy that holds the sessions ``rows`` (R,)."""
        return Pair(self.planner.take(rows), self.actor.take(rows), self.session[rows], self.step[rows])

    def join(self, others: Sequence["Pair[P, A]"]) -> "Pair[P, A]":
        """The sessions of this state and then those of ``others``."""
        return Pair(
            self.planner.join([other.planner for other in others]),
            self.actor.join([other.actor for other in others]),
            torch.cat([self.session, *(other.session for other in others)]),
            torch.cat([self.step, *(other.step for other in others)]),
        )


class Advised(Generic[P, A]):
    """The first ``planned`` sessions show the planner's slates, the others the actor's; all remember the planner's."""

    def __init__(self, planner: Policy[P], actor: Policy[A], planned: int) -> None:
        self.planner = planner
        self.actor = actor
        self.planned = planned
        self._advice: list[tuple[Tensor, Tensor, Tensor]] = []

    def start(self, sessions: int) -> Pair[P, A]:
        """Forget all advice and begin ``sessions`` sessions."""
        self._advice = []
        zero = torch.zeros(sessions, dtype=torch.int64)
        return Pair(self.planner.start(sessions), self.actor.start(sessions), torch.arange(sessions), zero)

    def propose(self, state: Pair[P, A], scene: Scene, generator: torch.Generator) -> Tensor:
        """Slates (B, K)."""
        advice = self.planner.propose(state.planner, scene, generator)
        self._advice.append((state.session, state.step, advice))
        own = self.actor.propose(state.actor, scene, generator)
        return torch.where((state.session < self.planned)[:, None], advice, own)

    def advance(self, state: Pair[P, A], slate: Tensor, click: Tensor) -> Pair[P, A]:
        """Both learn of ``click`` (B,) in the ``slate`` (B, K) that was shown."""
        planner = self.planner.advance(state.planner, slate, click)
        return Pair(planner, self.actor.advance(state.actor, slate, click), state.session, state.step + 1)

    def advice(self, batch: SessionBatch) -> SessionBatch:
        """The sessions just played, with the planner's slates in place of those shown; positions are of the latter."""
        slate = batch.slate.new_full(batch.slate.shape, batch.catalogue_size)
        for session, step, advice in self._advice:
            slate[session, step] = advice
        return replace(batch, slate=slate, shown=slate < batch.catalogue_size)


def lessons(
    planner: Policy[Any],
    agent: Policy[Any],
    world: World[Any],
    sessions: int,
    *,
    share: float,
    max_length: int,
    generator: torch.Generator,
) -> Sessions:
    """Sessions played in ``world`` with the planner's slate at every step: what `slate_imitation` learns from.

    A ``share`` of them is played by the planner, the others by the ``agent``. Both show slates of one size.
    """
    advised = Advised(planner, agent, round(share * sessions))
    batch = rollout(advised, world, sessions, max_length=max_length, generator=generator)
    return Sessions.from_batch(advised.advice(batch))


@dataclass(frozen=True)
class Distil:
    """Teach the agent the slates that a planner shows among learned users, with fresh sessions each epoch.

    ``planner`` and ``users``: made from the lab, whose models have been learned by then.
    """

    planner: Callable[[Lab], Policy[Any]]
    users: Callable[[Lab], UserModel[Any]] = attrgetter("user")
    name: str = "distil"
    keeps: tuple[ModelName, ...] = ("agent",)
    teaches: tuple[ModelName, ...] = ("agent",)

    def limit(self, lab: Lab) -> int:
        """The most epochs."""
        return lab.config.distillation_epochs

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One epoch; judged on lessons of the planner alone, the same for all epochs."""
        name = (self.name, index)
        train = lab.journal.part(name, lambda: self._learn(lab, name))
        held_out = self._lessons(lab, (self.name, "held-out"), lab.config.distillation_held_out, share=1.0)
        validation = mean_loss(lambda batch: slate_imitation(lab.agent, batch, lab.config), held_out)
        return train | {"distil/validation": validation, "validation": validation}

    def _learn(self, lab: Lab, name: Name) -> Metrics:
        def make() -> tuple[Sessions, Metrics]:
            return self._lessons(lab, name, lab.config.distillation_sessions, share=lab.config.planner_share), {}

        sessions, _ = lab.journal.generated(make)
        negatives = lab.streams.torch(*name, "negatives")
        lab.journal.draws(negatives)
        imitation = partial(slate_imitation, lab.agent, config=lab.config, likelihood=lab.likelihood(negatives))
        learner = lab.learners["agent"]
        learner.learn_at(lab.config.distillation_learning_rate)
        loss = learner.epoch(
            lab.without_some_ids("agent", imitation, negatives),
            sessions,
            lab.config.batch_size,
            lab.streams.torch(*name, "shuffle"),
            lab.journal,
        )
        return {"distil/loss": loss}

    def _lessons(self, lab: Lab, name: Name, sessions: int, *, share: float) -> Sessions:
        return lessons(
            self.planner(lab),
            RankingPolicy(lab.agent, lab.slate_size),
            LearnedWorld(self.users(lab)),
            sessions,
            share=share,
            max_length=lab.config.max_length or lab.data.longest,
            generator=lab.streams.torch(*name, "lessons"),
        )
