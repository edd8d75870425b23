"""Handing out tasks, and handing out again what a lost worker had taken."""

import logging
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator

from irecgan.errors import UserError
from irecgan.execution.interface import Done, Executor, Lost, R, Refused, T

TRIES = 3
"""Workers that a task may lose before it is given up."""


def worked_off(
    executor: Executor, work: Callable[[T], R], tasks: Iterable[T], name: Callable[[T], str]
) -> Generator[tuple[T, R]]:
    """Every task with its result, in the order in which they are finished.

    Of ``tasks`` no more are taken than the workers can hold. One whose worker was lost is handed out again, with a
    warning. Raises UserError when a task meets one, or has lost TRIES workers: ``name`` tells which task that is.
    """
    source = iter(tasks)
    again: deque[tuple[T, int]] = deque()  # tasks and how many workers they have lost
    under_way: dict[Hashable, tuple[T, int]] = {}
    with executor.open(work) as workers:
        while True:
            while len(under_way) < workers.slots and (taken := _next(again, source)) is not None:
                under_way[workers.begin(taken[0])] = taken
            if not under_way:
                return
            handle, outcome = workers.first_finished(list(under_way))
            task, lost = under_way.pop(handle)
            match outcome:
                case Done(result, told):
                    for text in told:
                        logging.getLogger("irecgan").warning("%s: %s", name(task), text)
                    yield task, result
                case Refused(text):
                    raise UserError(text)
                case Lost(reason):
                    again.append((task, _once_more(name(task), lost + 1, reason)))


def _next(again: deque[tuple[T, int]], source: Iterator[T]) -> tuple[T, int] | None:
    return again.popleft() if again else next(((task, 0) for task in source), None)


def _once_more(name: str, lost: int, reason: str) -> int:
    """How many workers the task has lost; UserError when it is not tried again."""
    if lost == TRIES:
        raise UserError(f"{name}: its worker was lost {lost} times ({reason}); expected workers that last")
    logging.getLogger("irecgan").warning(
        "%s: its worker was lost (%s); done again, try %d of %d", name, reason, lost + 1, TRIES
    )
    return lost
