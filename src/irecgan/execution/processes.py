"""Workers that are processes of this machine."""

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from irecgan.execution.calling import Packed, call
from irecgan.execution.interface import Done, Lost, R, Refused, T, Workers

_TERMINATED = 128 + signal.SIGTERM
_PATIENCE = 10.0
"""Seconds that a worker has to remove its temporary folders when it is ended."""


@dataclass(frozen=True)
class LocalProcesses:
    """``count`` processes at most, of one thread each."""

    count: int

    @contextmanager
    def open(self, work: Callable[[T], R]) -> Iterator[Workers[T, R]]:
        """The processes, made as they are needed; none is left behind."""
        workers = _Workers(Packed.of(work), self.count)
        try:
            yield workers
        finally:
            workers.end()


@dataclass(frozen=True, eq=False)
class _Worker:
    """A process, and the connection by which it gets tasks and answers."""

    process: BaseProcess
    connection: Connection


class _Workers:
    def __init__(self, work: Packed, count: int) -> None:
        self._work = work
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []
        self.slots = count

    def begin(self, task: Any) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            try:
                worker.connection.send(task)
            except OSError:  # it died since it answered
                _bury(worker)
            else:
                break
        else:
            worker = _started(self._work)
            worker.connection.send(task)
        self._busy.append(worker)
        return worker

    def first_finished(self, begun: Sequence[_Worker]) -> tuple[_Worker, Done[Any] | Refused | Lost]:
        ready = wait([worker.connection for worker in begun])[0]
        worker = next(worker for worker in begun if worker.connection is ready)
        self._busy.remove(worker)
        try:
            outcome = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            _bury(worker)
            return worker, Lost(f"its process ended with {worker.process.exitcode}; out of memory, perhaps")
        self._idle.append(worker)
        if isinstance(outcome, BaseException):
            raise outcome
        return worker, outcome

    def end(self) -> None:
        """Stop at once what is under way."""
        for worker in [*self._idle, *self._busy]:
            worker.process.terminate()
            worker.connection.close()
        for worker in [*self._idle, *self._busy]:
            worker.process.join(_PATIENCE)
            worker.process.kill()
            worker.process.join()


def _bury(worker: _Worker) -> None:
    """Of a worker whose process has ended."""
    worker.connection.close()
    worker.process.join()


def _started(work: Packed) -> _Worker:
    context = multiprocessing.get_context("spawn")  # forked processes would share torch's threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(connection: Connection, work: Packed) -> None:
    """What a worker does: tasks, until nobody is there to give another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # removes temporary folders on the way out
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            outcome: Any = call(work, task)
        except Exception as error:
            error.add_note(traceback.format_exc())
            outcome = error
        connection.send(outcome)
