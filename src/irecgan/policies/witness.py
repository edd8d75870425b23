"""Notes the true states in which a policy's slates were shown, without letting it see more than before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from irecgan.policies.interface import Policy
from irecgan.rows import State
from irecgan.worlds.interface import Scene


@dataclass(frozen=True)
class Witnessed(Generic[State]):
    """A policy's state, and which session and step each row is."""

    inner: State
    session: Tensor  # (R,) int64
    step: Tensor  # (R,) int64

    def __len__(self) -> int:
        return len(self.session)

    def take(self, rows: Tensor) -> "Witnessed[State]":
        """A copy that holds the sessions ``rows`` (R,)."""
        return Witnessed(self.inner.take(rows), self.session[rows], self.step[rows])

    def join(self, others: Sequence["Witnessed[State]"]) -> "Witnessed[State]":
        """The sessions of this state and then those of ``others``."""
        return Witnessed(
            self.inner.join([other.inner for other in others]),
            torch.cat([self.session, *(other.session for other in others)]),
            torch.cat([self.step, *(other.step for other in others)]),
        )


class Witness(Generic[State]):
    """Plays ``policy`` and remembers the true state of every step since the last ``start``."""

    def __init__(self, policy: Policy[State]) -> None:
        self.policy = policy
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def start(self, sessions: int) -> Witnessed[State]:
        """Forget what was seen and begin ``sessions`` sessions."""
        self._seen = []
        zero = torch.zeros(sessions, dtype=torch.int64)
        return Witnessed(self.policy.start(sessions), torch.arange(sessions), zero)

    def propose(self, state: Witnessed[State], scene: Scene, generator: torch.Generator) -> Tensor:
        """The policy's slates. (B, K)"""
        if scene.hidden is not None:
            self._seen.append((state.session, state.step, scene.hidden))
        return self.policy.propose(state.inner, scene, generator)

    def advance(self, state: Witnessed[State], slate: Tensor, click: Tensor) -> Witnessed[State]:
        """The policy's state after ``click`` (B,)."""
        return Witnessed(self.policy.advance(state.inner, slate, click), state.session, state.step + 1)

    def hidden(self, sessions: int, steps: int) -> Tensor:
        """The true state at every step; -1 where a session was over. (B, T, ...), (B, T) int64 for indices"""
        example = self._seen[0][2] if self._seen else torch.empty(0, dtype=torch.int64)
        states = example.new_full((sessions, steps, *example.shape[1:]), -1)
        for session, step, hidden in self._seen:
            states[session, step] = hidden
        return states
