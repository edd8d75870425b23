"""One worker: this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from irecgan.execution.calling import Packed, call
from irecgan.execution.interface import Done, Lost, R, Refused, T, Workers


class Here:
    """Works tasks off in this process, one after another."""

    @contextmanager
    def open(self, work: Callable[[T], R]) -> Iterator[Workers[T, R]]:
        """The process that calls, as a worker."""
        yield _Here(Packed.of(work))


class _Here:
    slots = 1

    def __init__(self, work: Packed) -> None:
        self._work = work
        self._tasks: dict[object, Any] = {}

    def begin(self, task: Any) -> object:
        key = object()
        self._tasks[key] = task
        return key

    def first_finished(self, begun: Sequence[Any]) -> tuple[object, Done[Any] | Refused | Lost]:
        (key,) = begun
        return key, call(self._work, self._tasks.pop(key))
