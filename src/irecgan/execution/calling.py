"""What a worker does with a task, wherever the worker runs."""

import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

import irecgan
from irecgan.errors import UserError, out_of_memory
from irecgan.execution.interface import Done, Refused

_LOGGER = logging.getLogger("irecgan")


@dataclass(frozen=True)
class Packed:
    """Work as bytes, which are handed to every worker, and the version of irecgan that it is of.

    Pickled, as all that goes from a process to its workers; what was read from a file is never unpickled.
    """

    version: str
    work: bytes

    @classmethod
    def of(cls, work: Callable[[Any], Any]) -> "Packed":
        """``work`` packed."""
        return cls(irecgan.__version__, pickle.dumps(work))


def call(packed: Packed, task: Any) -> Done[Any] | Refused:
    """The work done on ``task``, on one thread: results do not depend on how many there are.

    Warnings are not logged here but come back with the result: nobody may read what this process says.
    """
    if packed.version != irecgan.__version__:
        return Refused(f"found irecgan {irecgan.__version__} where a worker runs; expected {packed.version} everywhere")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with kept_warnings() as told:
            result = pickle.loads(packed.work)(task)
        return Done(result, tuple(told))
    except UserError as error:
        return Refused(str(error))
    except (MemoryError, RuntimeError, OSError) as error:
        if (text := out_of_memory(error)) is None:
            raise
        return Refused(text)
    finally:
        torch.set_num_threads(threads)


@contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """What irecgan warns of inside the block, in place of logging it."""
    told: list[str] = []
    handler, propagate = _Kept(told), _LOGGER.propagate
    _LOGGER.addHandler(handler)
    _LOGGER.propagate = False
    try:
        yield told
    finally:
        _LOGGER.propagate = propagate
        _LOGGER.removeHandler(handler)


class _Kept(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(record.getMessage())
