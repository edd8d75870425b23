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


@dataclass(frozen=True)
class Scene:
    """What a world puts before a policy at one step of B sessions."""

    hidden: Tensor | None = None  # (B, ...) the true state of a simulated world
    candidates: Tensor | None = None  # (B, C) int64, the items to order, n after the last; None: the catalogue


class World(Protocol[State]):
    """Answers slates. All sessions of a call advance as one batch; every draw is from ``generator``."""

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        ...

    def start(self, sessions: int, generator: torch.Generator) -> State:
        """The state before the first slate of ``sessions`` sessions."""
        ...

    def respond(self, state: State, slate: Tensor, generator: torch.Generator) -> Response:
        """The answer to ``slate`` (B, K), item indices; n after the last where candidates were fewer."""
        ...

    def advance(self, state: State, slate: Tensor, click: Tensor, generator: torch.Generator) -> State:
        """The state after ``click`` (B,) in ``slate`` (B, K): for sessions that go on."""
        ...

    def hidden(self, state: State) -> Tensor | None:
        """The true state (B, ...) where the world has one to show, else None."""
        ...

    def candidates(self, state: State) -> Tensor | None:
        """The items (B, C) int64 that a slate orders, n after the last; None where it may show any item."""
        ...
