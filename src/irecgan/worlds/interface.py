"""Who answers a slate: the interface that simulators and learned user models share."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from irecgan.rows import State


@dataclass(frozen=True)
class Response:
    """What the users of B sessions did with the slates they were shown."""

    position: Tensor  # (B,) int64, rank of the click in the slate; NOTHING (-1) ends the session
    reward: Tensor  # (B,) float32, 0 where nothing was clicked


class World(Protocol[State]):
    """Answers slates. All sessions of a call advance as one batch; every draw is from ``generator``."""

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        ...

    def start(self, sessions: int) -> State:
        """The state before the first slate of ``sessions`` sessions."""
        ...

    def respond(self, state: State, slate: Tensor, generator: torch.Generator) -> Response:
        """The answer to ``slate`` (B, K), item indices without padding."""
        ...

    def advance(self, state: State, slate: Tensor, click: Tensor, generator: torch.Generator) -> State:
        """The state after ``click`` (B,) in ``slate`` (B, K): for sessions that go on."""
        ...

    def hidden(self, state: State) -> Tensor | None:
        """The true state (B,) int64 where the world has one to show, else None."""
        ...
