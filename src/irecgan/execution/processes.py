"""Workers that are processes of this machine."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from irecgan.execution.calling import call, packed
from irecgan.execution.interface import Done, Lost, R, Refused, T, Workers

_TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Processes:
    """``count`` processes at most, of one thread each."""

    count: int

    @contextmanager
    def open(self, work: Callable[[T], R], tasks: int | None) -> Iterator[Workers[T, R]]:
        """The processes; after an error or an interrupt none is left behind."""
        pools = _Pools(packed(work), self.count if tasks is None else min(self.count, tasks))
        try:
            yield pools
        except BaseException:
            pools.end()
            raise
        pools.shut_down()


class _Pools:
    """A pool of one process for each worker: when one ends, it is known which task it had."""

    def __init__(self, work: bytes, count: int) -> None:
        self._work = work
        self._idle = [_pool() for _ in range(count)]
        self._busy: dict[Future[Any], ProcessPoolExecutor] = {}
        self.slots = count

    def begin(self, task: Any) -> Future[Any]:
        pool = self._idle.pop()
        future = pool.submit(call, self._work, task)
        self._busy[future] = pool
        return future

    def first_finished(self, begun: list[Future[Any]]) -> tuple[Future[Any], Done[Any] | Refused | Lost]:
        future = next(iter(wait(begun, return_when=FIRST_COMPLETED).done))
        pool = self._busy.pop(future)
        try:
            outcome = future.result()
        except BrokenProcessPool:
            pool.shutdown(wait=False)
            self._idle.append(_pool())
            return future, Lost("the process ended; out of memory, perhaps")
        self._idle.append(pool)
        return future, outcome

    def shut_down(self) -> None:
        for pool in self._idle:
            pool.shutdown()

    def end(self) -> None:
        """Stop at once what is under way."""
        for pool in [*self._idle, *self._busy.values()]:
            pool.shutdown(wait=False, cancel_futures=True)
        children = multiprocessing.active_children()
        for child in children:
            child.terminate()
        for child in children:
            child.join()


def _pool() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # forked processes would share torch's threads
    return ProcessPoolExecutor(1, mp_context=context, initializer=_become_worker)


def _become_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # removes temporary folders on the way out
