"""Workers that are tasks on a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from irecgan.errors import UserError
from irecgan.execution.calling import Packed, call
from irecgan.execution.interface import Done, Lost, R, Refused, T, Workers
from irecgan.execution.ray_cluster import Cluster

_WAITING = 2
"""Tasks handed over for each that can run: an autoscaler sees what waits, and no worker waits for its next task."""


@dataclass(frozen=True)
class RayTasks:
    """Tasks of one CPU, and of ``gpus`` GPUs, on a ``cluster``; of ``most`` at once, or as many as find room."""

    cluster: Cluster
    most: int | None = None
    gpus: float = 0

    @contextmanager
    def open(self, work: Callable[[T], R]) -> Iterator[Workers[T, R]]:
        """The cluster; what is under way ends with the connection."""
        with self.cluster.connected() as ray:
            tasks = _Tasks(ray, Packed.of(work), self.most, self.gpus)
            try:
                yield tasks
            finally:
                tasks.cancel()


class _Tasks:
    def __init__(self, ray: Any, work: Packed, most: int | None, gpus: float) -> None:
        self._ray = ray
        self._most = most
        self._work = ray.put(work)
        # A lost worker is told of here, and what it had is handed out again: Ray is not to do it silently.
        self._call = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(call)
        self._begun: set[Any] = set()

    @property
    def slots(self) -> int:
        if self._most is not None:
            return self._most
        return _WAITING * max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def begin(self, task: Any) -> Any:
        reference = self._call.remote(self._work, task)
        self._begun.add(reference)
        return reference

    def first_finished(self, begun: Sequence[Any]) -> tuple[Any, Done[Any] | Refused | Lost]:
        errors = self._ray.exceptions
        reference = self._ray.wait(list(begun), num_returns=1)[0][0]
        self._begun.discard(reference)
        try:
            return reference, self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError, errors.ObjectLostError) as e:
            return reference, Lost(f"Ray: {type(e).__name__}")
        except errors.RayTaskError as error:
            if isinstance(error.cause, ModuleNotFoundError):
                raise UserError(f"--ray: a worker of the cluster finds no module {error.cause.name}") from None
            raise

    def cancel(self) -> None:
        """Stop at once what is under way."""
        for reference in self._begun:
            self._ray.cancel(reference, force=True)
