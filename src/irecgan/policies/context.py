"""Rankers that know the context in which they are asked."""

from typing import Any, Generic, Protocol

from torch import Tensor

from irecgan.data.sparse import PaddedRows
from irecgan.policies.interface import Ranker
from irecgan.rows import State


class ContextRanker(Ranker[State], Protocol[State]):
    """A ranker that reads the context of each step, where it is given."""

    def start(self, sessions: int, context: PaddedRows | None = None) -> State:
        """The state before the first slate, which has ``context`` (B, W)."""
        ...

    def advance(self, state: State, click: Tensor, context: PaddedRows | None = None) -> State:
        """The state after ``click`` (B,); the slate that follows has ``context`` (B, W)."""
        ...


class InContext(Generic[State]):
    """``ranker`` where every step of every session has one and the same ``context`` (1, W)."""

    def __init__(self, ranker: ContextRanker[State], context: PaddedRows) -> None:
        self.ranker = ranker
        self.context = context

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.ranker.catalogue_size

    def start(self, sessions: int) -> State:
        """The state before the first slate."""
        return self.ranker.start(sessions, self._of(sessions))

    def scores(self, state: State) -> Tensor:
        """Scores of all items. (B, n)"""
        return self.ranker.scores(state)

    def scores_of(self, state: State, items: Tensor) -> Tensor:
        """Scores of ``items`` (B, C) alone. (B, C)"""
        return self.ranker.scores_of(state, items)

    def advance(self, state: State, click: Tensor) -> State:
        """The state after ``click`` (B,)."""
        return self.ranker.advance(state, click, self._of(len(click)))

    def _of(self, sessions: int) -> PaddedRows:
        rows: tuple[Any, ...] = (sessions, -1)
        return PaddedRows(self.context.feature.expand(*rows), self.context.weight.expand(*rows))
