"""Tasks that need nothing of each other, and whoever works them off."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True)
class Done(Generic[R]):
    """What came of a task; ``told`` are the warnings that its work logged."""

    result: R
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """The task met a mistake of the user's, or had too little memory; ``text`` is the line that says so."""

    text: str


@dataclass(frozen=True)
class Lost:
    """The worker ended before its task did."""

    reason: str


class Workers(Protocol[T_contra, R]):
    """Workers that are ready to take tasks."""

    @property
    def slots(self) -> int:
        """Tasks that may be begun and not yet finished: as many as keep every worker busy."""
        ...

    def begin(self, task: T_contra) -> Hashable:
        """Hand ``task`` over; what comes back stands for it."""
        ...

    def first_finished(self, begun: Sequence[Any]) -> tuple[Hashable, "Done[R] | Refused | Lost"]:
        """Wait until one of ``begun`` is finished: which, and what came of it. Raises what else its work raised."""
        ...


class Executor(Protocol):
    """Opens workers."""

    def open(self, work: Callable[[T], R]) -> AbstractContextManager[Workers[T, R]]:
        """Workers that do ``work``; none is left when the block ends.

        ``work`` can be pickled: a function of a module, or a partial call of one. It is done on one thread.
        """
        ...
