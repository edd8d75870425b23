"""The one place where a policy meets a world.

All sessions advance together, one step of all open sessions at a time; a session that ends leaves the
batch. Monte-Carlo completions (Eq. 6) start from the states that policy, world and judge had reached in
the generated session, so no prefix is ever run twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.objectives.adversarial import sequence_score
from irecgan.policies.interface import Policy
from irecgan.rows import Rows, State
from irecgan.worlds.interface import Scene, World


class Judge(Protocol[State]):
    """Scores sessions while they are made: a discriminator. Logits are high for logged sessions."""

    def start(self, sessions: int) -> State:
        """The state before the first step."""
        ...

    def advance(self, state: State, slate: Tensor, click: Tensor, reward: Tensor) -> State:
        """The state after a ``click`` (B,) with ``reward`` (B,) in ``slate`` (B, K)."""
        ...

    def finish(self, state: State, slate: Tensor | None) -> Tensor:
        """Logits (B,) of sessions that ended at ``slate`` (B, K); None where the log has no last slate."""
        ...

    def cut(self, state: State) -> Tensor:
        """Logits (B,) of sessions that were cut at the maximum length."""
        ...


@dataclass(frozen=True)
class Frontier:
    """Open sessions: what policy, world and judge know of them."""

    session: Tensor  # (R,) int64, which session of the call each row is
    clicks: Tensor  # (R,) int64, clicks so far
    policy: Rows
    world: Rows
    judge: Rows | None

    def __len__(self) -> int:
        return len(self.session)

    def take(self, rows: Tensor) -> "Frontier":
        """A copy of the rows ``rows``."""
        return Frontier(
            session=self.session[rows],
            clicks=self.clicks[rows],
            policy=self.policy.take(rows),
            world=self.world.take(rows),
            judge=self.judge.take(rows) if self.judge is not None else None,
        )

    def join(self, others: Sequence["Frontier"]) -> "Frontier":
        """The rows of this frontier and then those of ``others``."""
        judges = [other.judge for other in others if other.judge is not None]
        return Frontier(
            session=torch.cat([self.session, *(other.session for other in others)]),
            clicks=torch.cat([self.clicks, *(other.clicks for other in others)]),
            policy=self.policy.join([other.policy for other in others]),
            world=self.world.join([other.world for other in others]),
            judge=self.judge.join(judges) if self.judge is not None else None,
        )


@dataclass(frozen=True)
class Step:
    """One step of all open sessions."""

    session: Tensor  # (R,)
    slate: Tensor  # (R, K)
    position: Tensor  # (R,)
    reward: Tensor  # (R,)
    open: Frontier  # the sessions that go on
    closed: Tensor  # (C,) sessions that ended or were cut at this step
    verdict: Tensor  # (C,) the judge's logits of them; empty without a judge


@dataclass(frozen=True)
class Stage:
    """A policy, the world it acts in and, where sessions are scored, their judge."""

    policy: Policy[Any]
    world: World[Any]
    max_length: int  # clicks after which a session is cut
    judge: Judge[Any] | None = None
    final_slates: bool = True  # whether logs of this world show the slate at which a user left

    def start(self, sessions: int, generator: torch.Generator) -> Frontier:
        """The frontier before the first slate."""
        device = generator.device
        return Frontier(
            session=torch.arange(sessions, device=device),
            clicks=torch.zeros(sessions, dtype=torch.int64, device=device),
            policy=self.policy.start(sessions),
            world=self.world.start(sessions, generator),
            judge=self.judge.start(sessions) if self.judge else None,
        )

    def step(self, frontier: Frontier, generator: torch.Generator) -> Step:
        """Show a slate in every open session and see what its user does."""
        scene = Scene(self.world.hidden(frontier.world), self.world.candidates(frontier.world))
        slate = self.policy.propose(frontier.policy, scene, generator)
        response = self.world.respond(frontier.world, slate, generator)
        clicked = response.position != NOTHING
        full = clicked & (frontier.clicks + 1 >= self.max_length)
        # The one place where a step waits for its device: what is read here decides how many rows the next one has.
        clicks, cuts = torch.stack([clicked.sum(), full.sum()]).tolist()
        stay, leave = _rows(clicked, clicks), _rows(~clicked, len(clicked) - clicks)
        verdicts = [self._finish(frontier, slate, leave)]
        click = slate[stay].gather(1, response.position[stay][:, None]).squeeze(1)
        going, slates, rewards = frontier.take(stay), slate[stay], response.reward[stay]
        judge = self.judge.advance(going.judge, slates, click, rewards) if self.judge is not None else None
        full = full[stay]
        cut, on = _rows(full, cuts), _rows(~full, clicks - cuts) if cuts else None
        if self.judge is not None and judge is not None:
            verdicts.append(self.judge.cut(judge.take(cut)))
        return Step(
            session=frontier.session,
            slate=slate,
            position=response.position,
            reward=response.reward,
            open=self._advance(replace(going, judge=judge), on, slates, click, generator),
            closed=torch.cat([frontier.session[leave], going.session[cut]]),
            verdict=torch.cat(verdicts),
        )

    def _advance(
        self, frontier: Frontier, on: Tensor | None, slate: Tensor, click: Tensor, generator: torch.Generator
    ) -> Frontier:
        """The rows ``on`` (None: all) of a frontier whose judge heard of the clicks; no one else needs to of a cut."""
        going = frontier
        if on is not None:
            going, slate, click = frontier.take(on), slate[on], click[on]
        return replace(
            going,
            clicks=going.clicks + 1,
            policy=self.policy.advance(going.policy, slate, click),
            world=self.world.advance(going.world, slate, click, generator),
        )

    def _finish(self, frontier: Frontier, slate: Tensor, leave: Tensor) -> Tensor:
        if self.judge is None or frontier.judge is None:
            return torch.empty(0, device=slate.device)
        return self.judge.finish(frontier.judge.take(leave), slate[leave] if self.final_slates else None)


def _rows(chosen: Tensor, count: int) -> Tensor:
    """The rows that are true in ``chosen`` (R,), of which there are ``count``. (C,)"""
    return torch.nonzero_static(chosen, size=count).squeeze(1)


@torch.no_grad()
def rollout(
    policy: Policy[Any],
    world: World[Any],
    sessions: int,
    *,
    max_length: int,
    generator: torch.Generator,
    final_slates: bool = True,
) -> SessionBatch:
    """Play ``sessions`` whole sessions, cut after ``max_length`` clicks."""
    stage = Stage(policy, world, max_length, final_slates=final_slates)
    frontier, steps = stage.start(sessions, generator), []
    while len(frontier.session):
        steps.append(stage.step(frontier, generator))
        frontier = steps[-1].open
    return _assemble(steps, sessions, world.catalogue_size, final_slates)


@torch.no_grad()
def scored_rollout(
    stage: Stage, sessions: int, *, completions: int, generator: torch.Generator, rows: int = 4096
) -> SessionBatch:
    """Play whole sessions and score every step by Eq. (6) with ``completions`` Monte-Carlo completions.

    The completions of all steps of all sessions run as one batch, of at most ``rows`` rows at a time.
    """
    frontier, steps = stage.start(sessions, generator), []
    verdict = torch.zeros(sessions, device=generator.device)
    while len(frontier.session):
        step = stage.step(frontier, generator)
        verdict[step.closed] = step.verdict
        steps.append(step)
        frontier = step.open
    batch = _assemble(steps, sessions, stage.world.catalogue_size, stage.final_slates)
    score = torch.where(batch.real, sequence_score(verdict[:, None])[:, None], 0.0)  # right where t = T
    unfinished = [step.open for step in steps if len(step.open.session)]
    if unfinished:
        prefixes = unfinished[0].join(unfinished[1:])
        logits = _complete(stage, prefixes, completions, generator, rows)  # (P, N)
        score[prefixes.session, prefixes.clicks - 1] = sequence_score(logits)
    return replace(batch, score=score)


def _complete(stage: Stage, prefixes: Frontier, completions: int, generator: torch.Generator, rows: int) -> Tensor:
    """The judge's logits of ``completions`` completions of every prefix. (P, N)"""
    device = prefixes.session.device
    logits = torch.zeros(len(prefixes.session) * completions, device=device)
    every = torch.arange(len(logits), device=device)
    for chunk in every.split(rows):
        frontier = replace(prefixes.take(chunk // completions), session=chunk)
        while len(frontier.session):
            step = stage.step(frontier, generator)
            logits[step.closed] = step.verdict
            frontier = step.open
    return logits.reshape(-1, completions)


def _assemble(steps: Sequence[Step], sessions: int, nothing: int, final_slates: bool) -> SessionBatch:
    """The steps of all sessions as one padded batch."""
    width, device = steps[0].slate.shape[1], steps[0].slate.device
    shape = (sessions, len(steps))
    slate = torch.full((*shape, width), nothing, device=device)
    position = torch.full(shape, NOTHING, device=device)
    reward = torch.zeros(shape, device=device)
    real = torch.zeros(shape, dtype=torch.bool, device=device)
    for t, step in enumerate(steps):
        slate[step.session, t] = step.slate
        position[step.session, t] = step.position
        reward[step.session, t] = step.reward.to(reward)
        real[step.session, t] = True
    clicked = real & (position != NOTHING)
    shown = (real if final_slates else clicked)[..., None] & (slate != nothing)
    slate = torch.where(shown, slate, nothing)
    click = slate.gather(2, position.clamp(min=0)[..., None]).squeeze(2)
    return SessionBatch(
        slate=slate,
        shown=shown,
        click=torch.where(clicked, click, nothing),
        position=position,
        reward=reward,
        propensity=torch.full(shape, torch.nan, device=device),
        score=real.to(reward),
        real=real,
        catalogue_size=nothing,
    )
