"""A learned user model as a world: the users that the agent meets in generated sessions."""

from typing import Generic

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING
from irecgan.models.user import UserModel
from irecgan.rows import State
from irecgan.worlds.interface import Response


class LearnedWorld(Generic[State]):
    """Answers slates by sampling from a user model: clicks by Eq. (1), rewards by Eq. (2)."""

    def __init__(self, model: UserModel[State]) -> None:
        self.model = model
        self.catalogue_size = model.catalogue_size

    def start(self, sessions: int, generator: torch.Generator | None = None) -> State:  # noqa: ARG002
        """The state before the first slate; nothing is drawn."""
        return self.model.start(sessions)

    def respond(self, state: State, slate: Tensor, generator: torch.Generator) -> Response:
        """Sampled clicks and rewards. ``slate`` (B, K)"""
        outcome = self.model.outcome(state, slate)
        probability = torch.cat([outcome.click, outcome.stop[:, None]], dim=1).exp()  # (B, K + 1)
        # The draw of torch.multinomial, number for number, without its checks: on a GPU they wait for the device.
        noise = torch.empty_like(probability).exponential_(generator=generator)
        choice = (probability / noise).argmax(1, keepdim=True)  # (B, 1)
        ended = choice == slate.shape[1]
        mean = outcome.reward.gather(1, torch.where(ended, 0, choice)).squeeze(1)
        reward = self.model.sample_reward(mean, generator)
        ended = ended.squeeze(1)
        return Response(position=torch.where(ended, NOTHING, choice.squeeze(1)), reward=torch.where(ended, 0.0, reward))

    def advance(self, state: State, slate: Tensor, click: Tensor, generator: torch.Generator) -> State:  # noqa: ARG002
        """The state after ``click`` (B,) in ``slate`` (B, K)."""
        return self.model.advance(state, slate, click)

    def hidden(self, state: State) -> None:  # noqa: ARG002
        """A learned world has no true state."""
        return

    def candidates(self, state: State) -> None:  # noqa: ARG002
        """Any item may be shown."""
        return
