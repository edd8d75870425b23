"""Handing out tasks, and handing out again what a lost worker had taken."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count

from irecgan.errors import UserError
from irecgan.execution.interface import Done, Lost, R, Refused, T, Workers

_TRIES = 2


def worked_off(workers: Workers[T, R], tasks: Iterable[T], name: Callable[[T], str]) -> Iterator[tuple[T, R]]:
    """Every task with its result, in the order in which they are finished.

    Of ``tasks`` no more are taken than the workers can hold. One whose worker was lost is handed out once more.
    Raises UserError when a task meets one, or loses its second worker too: ``name`` tells which task that is.
    """
    source, number = iter(tasks), count()
    again: deque[tuple[T, int]] = deque()  # tasks and how many workers they have lost
    under_way: dict[int, tuple[T, int]] = {}
    begun: dict[int, object] = {}

    def fill() -> None:
        while len(begun) < workers.slots:
            task, lost = again.popleft() if again else (next(source, None), 0)
            if task is None:
                return
            key = next(number)
            under_way[key], begun[key] = (task, lost), workers.begin(task)

    fill()
    while begun:
        handle, outcome = workers.first_finished(list(begun.values()))
        key = next(key for key, other in begun.items() if other is handle)
        del begun[key]
        task, lost = under_way.pop(key)
        match outcome:
            case Done(result):
                yield task, result
            case Refused(text):
                raise UserError(text)
            case Lost(reason):
                again.append((task, _once_more(name(task), lost + 1, reason)))
        fill()


def _once_more(name: str, lost: int, reason: str) -> int:
    """How many workers the task has lost; UserError when it is not tried again."""
    if lost == _TRIES:
        raise UserError(
            f"{name}: its worker was lost {lost} times ({reason}); "
            "expected workers that last, with memory enough; what is done is kept where the command says so"
        )
    logging.getLogger("irecgan").warning("%s: its worker was lost (%s); it is tried once more", name, reason)
    return lost
