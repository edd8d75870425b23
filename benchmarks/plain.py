"""Generation and Monte-Carlo scores as the paper states them, one session at a time and without a batch.

The order of work is the official code's: the agent's state is carried from step to step, the user model reads the whole
session again at every step, each completion of Eq. (6) is played by itself, and the discriminator reads it from its
beginning. It is what speeds are compared with, and what the batched roll-out is tested against.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.models.agent import Agent
from irecgan.models.discriminator import Discriminator
from irecgan.models.memory import UserState
from irecgan.models.recurrent import RecurrentState
from irecgan.models.user import RecurrentUserModel
from irecgan.objectives.adversarial import sequence_score
from irecgan.policies.ranking import sampled_slate


@dataclass(frozen=True)
class PlainSession:
    """One session as lists; the agent's state after each of its clicks is kept for completions."""

    slates: list[Tensor] = field(default_factory=list)  # (K,) each
    positions: list[int] = field(default_factory=list)  # NOTHING at the end
    rewards: list[float] = field(default_factory=list)
    clicks: list[int] = field(default_factory=list)  # items
    states: list[RecurrentState] = field(default_factory=list)

    def until(self, clicks: int) -> "PlainSession":
        """A copy of its first ``clicks`` steps."""
        return PlainSession(*(getattr(self, name)[:clicks] for name in self.__dataclass_fields__))

    def batch(self, nothing: int) -> SessionBatch:
        """The session as a batch of one; ``nothing`` is the number of items n."""
        position = torch.tensor([self.positions])
        slate = torch.stack(self.slates)[None]
        real = torch.ones_like(position, dtype=torch.bool)
        click = slate.gather(2, position.clamp(min=0)[..., None]).squeeze(2)
        return SessionBatch(
            slate=slate,
            shown=torch.ones_like(slate, dtype=torch.bool),
            click=torch.where(position == NOTHING, nothing, click),
            position=position,
            reward=torch.tensor([self.rewards]),
            propensity=torch.full(position.shape, torch.nan),
            score=torch.ones(position.shape),
            real=real,
            catalogue_size=nothing,
        )


@dataclass
class PlainGenerator:
    """Agent and user model in turn. ``steps`` counts the slates shown so far, completions included."""

    agent: Agent
    user: RecurrentUserModel
    judge: Discriminator
    slate_size: int
    max_length: int
    steps: int = 0

    @torch.no_grad()
    def session(self, generator: torch.Generator) -> PlainSession:
        """A whole session, cut after ``max_length`` clicks."""
        session = PlainSession()
        self._play(session, self.agent.start(1), generator)
        return session

    @torch.no_grad()
    def scored(self, completions: int, generator: torch.Generator) -> tuple[PlainSession, SessionBatch]:
        """A session with q_D of Eq. (6) at every step."""
        session = self.session(generator)
        scores = []
        for step, position in enumerate(session.positions):
            clicks = step + 1
            if position == NOTHING or clicks >= self.max_length:
                scores.append(self._verdict(session))
                continue
            verdicts = [self._completed(session, clicks, generator) for _ in range(completions)]
            scores.append(sum(verdicts) / completions)
        batch = session.batch(self.agent.catalogue_size)
        return session, replace(batch, score=torch.tensor([scores]))

    def _completed(self, session: PlainSession, clicks: int, generator: torch.Generator) -> float:
        copy = session.until(clicks)
        self._play(copy, copy.states[-1], generator)
        return self._verdict(copy)

    def _verdict(self, session: PlainSession) -> float:
        logit = self.judge(session.batch(self.agent.catalogue_size))
        return float(sequence_score(logit[:, None])[0])

    def _play(self, session: PlainSession, state: RecurrentState, generator: torch.Generator) -> None:
        """Play on to the end, adding to ``session``."""
        while len(session.clicks) < self.max_length:
            self.steps += 1
            slate = sampled_slate(self.agent.scores(state), self.slate_size, generator)  # (1, K)
            position, reward = self._answer(session.clicks, slate, generator)
            session.slates.append(slate[0])
            session.positions.append(position)
            session.rewards.append(reward)
            if position == NOTHING:
                return
            click = slate[:, position]
            session.clicks.append(int(click))
            state = self.agent.advance(state, click)
            session.states.append(state)

    def _answer(self, clicks: list[int], slate: Tensor, generator: torch.Generator) -> tuple[int, float]:
        """The click, and its reward, of a user who reads the whole session again."""
        read = self.user.encoder(torch.tensor([[*clicks, self.user.catalogue_size]]))  # (1, T + 1, H)
        outcome = self.user.outcome(UserState(RecurrentState(read[:, -1][None], None), None), slate)
        chance = torch.cat([outcome.click, outcome.stop[:, None]], dim=1).exp()
        choice = int(torch.multinomial(chance, 1, generator=generator))
        ended = choice == slate.shape[1]
        mean = outcome.reward[:, 0 if ended else choice]
        reward = float(self.user.sample_reward(mean, generator))
        return (NOTHING, 0.0) if ended else (choice, reward)
