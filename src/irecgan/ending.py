"""Being told to end by SIGTERM: whatever ends well when it is interrupted ends as well then."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came, as schedulers, service managers and ``kill`` send it."""


def end_when_terminated() -> None:
    """Have SIGTERM raise Terminated in the main thread of this process, from now on."""
    signal.signal(signal.SIGTERM, _end)


@contextmanager
def ending_when_terminated() -> Iterator[None]:
    """Have SIGTERM raise Terminated within the block. Outside of the main thread it does what it did."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    end_when_terminated()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Have SIGINT and SIGTERM wait until the block is over, and then do what they do. In the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for held in before:
        signal.signal(held, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for held, handler in before.items():
            signal.signal(held, handler)
    for number in came[:1]:
        signal.raise_signal(number)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Terminated
