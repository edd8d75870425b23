"""States of many sessions at once, which roll-outs copy, thin out and put together again."""

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

from torch import Tensor


class Rows(Protocol):
    """A state of many sessions at once that can be copied row by row and put together again."""

    def __len__(self) -> int:
        """The number of sessions."""
        ...

    def take(self, rows: Tensor) -> Self:
        """A copy that holds the sessions ``rows`` (R,), in that order; a row may occur often."""
        ...

    def join(self, others: Sequence[Self]) -> Self:
        """The sessions of this state and then those of ``others``."""
        ...


State = TypeVar("State", bound=Rows)
