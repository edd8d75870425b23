"""Who proposes a slate."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.rows import State
from irecgan.worlds.interface import Scene

Scorer = Callable[[SessionBatch], Tensor]
"""Scores (M, K) of the items shown at the M real steps of a batch, in row-major order."""


class Policy(Protocol[State]):
    """Proposes slates from the clicks so far. All sessions of a call advance as one batch."""

    def start(self, sessions: int) -> State:
        """The state before the first slate of ``sessions`` sessions."""
        ...

    def propose(self, state: State, scene: Scene, generator: torch.Generator) -> Tensor:
        """Slates (B, K) int64 without repeats, best first.

        Where ``scene`` has candidates (B, C) the slate is these in another order, C wide and with n after
        the last. Only policies that are said to observe the state (the logging policies max and mix, the
        oracles) may read ``scene.hidden``.
        """
        ...

    def advance(self, state: State, slate: Tensor, click: Tensor) -> State:
        """The state after ``click`` (B,) in ``slate`` (B, K)."""
        ...


class Ranker(Protocol[State]):
    """Scores the whole catalogue from the clicks so far; higher is better."""

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        ...

    def start(self, sessions: int) -> State:
        """The state before the first slate of ``sessions`` sessions."""
        ...

    def scores(self, state: State) -> Tensor:
        """Scores of all items. (B, n) float"""
        ...

    def scores_of(self, state: State, items: Tensor) -> Tensor:
        """Scores of ``items`` (B, C) alone; any number for the index n. (B, C) float"""
        ...

    def advance(self, state: State, click: Tensor) -> State:
        """The state after ``click`` (B,), item indices; ``n`` for an item that is not known."""
        ...
