"""Training in workers of Ray Train: each calls `irecgan.train` in the process group that Ray makes."""

import logging
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import irecgan
from irecgan.errors import UserError
from irecgan.execution.calling import kept_warnings
from irecgan.execution.ray_cluster import Cluster, module
from irecgan.training.config import TrainingConfig
from irecgan.training.distributed import LostProcessError
from irecgan.training.train import train

_LOGGER = logging.getLogger("irecgan")

TRIES = 3
"""How often a training is begun, or gone on with, when it loses a worker."""


@dataclass(frozen=True)
class RayTraining:
    """A training by ``workers`` of one CPU, or of one GPU too, on a ``cluster``.

    Attributes:
        cluster: where.
        workers: processes that train data-parallel.
        device: ``cpu``; ``cuda``; or ``auto``: GPUs where the cluster has one for each worker.

    """

    cluster: Cluster
    workers: int
    device: str = "cpu"

    def run(self, *, out: Path, resume: bool = False, **arguments: Any) -> None:
        """Train with the ``arguments`` of `irecgan.train`; ``out`` and files lie where all machines find them.

        A training that loses a worker is gone on with from its last checkpoint, with a warning. Raises UserError as
        `irecgan.train` does, where the cluster has too few CPUs or GPUs, at first or after a loss, and after TRIES.
        """
        with self.cluster.connected() as ray:
            given = {**arguments, "out": out, "device": self._device(ray.cluster_resources())}
            for lost in range(TRIES):
                try:
                    told = self._fit({**given, "resume": resume or lost > 0}, out, patient=lost == 0)
                    break
                except LostProcessError as error:
                    _tell_loss(out, error, lost + 1)
        for text in told:
            _LOGGER.warning(text)

    def _device(self, there: Mapping[str, float]) -> str:
        cpus, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
        if cpus < self.workers:
            raise UserError(f"--workers {self.workers}: the cluster has {cpus} CPUs; expected one for each worker")
        if self.device == "cuda" and gpus < self.workers:
            raise UserError(
                f"--device cuda: the cluster has {gpus} GPUs; expected one for each of {self.workers} workers"
            )
        return "cuda" if self.device != "cpu" and gpus >= self.workers else "cpu"

    def _fit(self, arguments: dict[str, Any], out: Path, *, patient: bool) -> list[str]:
        """Train once; the warnings of the first worker. ``patient``: wait for a cluster that others keep busy."""
        out.parent.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.ray."))  # Ray's own account of the run
        trainer = self._trainer(arguments, home, patient=patient)
        try:
            with _interruptible():
                told: list[str] = trainer.fit().return_value
        except module("ray.train").TrainingFailedError as error:
            self._refuse(error, out)
        finally:
            shutil.rmtree(home, ignore_errors=True)
        return told

    def _trainer(self, arguments: dict[str, Any], home: Path, *, patient: bool) -> Any:
        """Ray Train's trainer."""
        on_gpu = arguments["device"] == "cuda"
        ray_train, torch_train = module("ray.train"), module("ray.train.torch")
        return torch_train.TorchTrainer(
            partial(_work, irecgan.__version__, arguments),
            torch_config=torch_train.TorchConfig(
                backend="cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout_s=_wait(arguments.get("settings"))
            ),
            scaling_config=ray_train.ScalingConfig(num_workers=self.workers, use_gpu=on_gpu),
            run_config=ray_train.RunConfig(
                storage_path=str(home.resolve()), failure_config=_failures(ray_train.FailureConfig, patient=patient)
            ),
        )

    def _refuse(self, error: Exception, out: Path) -> NoReturn:
        """Raise the cause for which Ray Train gave up."""
        ray_train, internal = module("ray.train"), module("ray.train.v2._internal.exceptions")
        if isinstance(error, ray_train.WorkerGroupError):
            raise cause(error.worker_failures, internal.WorkerHealthCheckFailedError) from error
        if isinstance(error, getattr(ray_train, "PreemptionError", ())):
            raise LostProcessError("its machine was taken back") from error
        failure = getattr(error, "controller_failure", None)
        if isinstance(failure, internal.WorkerGroupStartupFailedError):
            raise LostProcessError("before it began") from error
        if isinstance(failure, internal.WorkerGroupStartupTimeoutError):
            raise UserError(
                f"{out}: a worker was lost, and the cluster has no room for {self.workers} any more; "
                "go on with --resume when it has"
            ) from error
        raise error


def _wait(settings: Mapping[str, Any] | TrainingConfig | None) -> int:
    """Seconds that a worker waits for others."""
    return max(1, round(60 * TrainingConfig.of(settings).wait_minutes))


def _failures(config: Any, *, patient: bool) -> Any:
    """Have Ray Train give up at every loss: workers that it begins anew would not know that they are to resume."""
    limits = {"max_failures": 0, "max_preemption_failures": 0, "controller_failure_limit": -1 if patient else 0}
    known = {field.name for field in fields(config)}  # Ray of 2.51 has not all of them
    return config(**{name: limit for name, limit in limits.items() if name in known})


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have an interrupt be one: Ray Train takes the signal for itself, ends its workers and then exits with 0."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _tell_loss(out: Path, error: LostProcessError, lost: int) -> None:
    """Say that the training goes on; UserError where it does not."""
    if lost == TRIES:
        raise UserError(f"{out}: lost its workers {lost} times ({error}); go on with --resume") from None
    _LOGGER.warning(
        "%s: a worker was lost (%s); goes on from the last checkpoint, try %d of %d", out, error, lost + 1, TRIES
    )


def _work(version: str, arguments: dict[str, Any]) -> list[str]:
    """What every worker does."""
    if version != irecgan.__version__:
        raise UserError(f"found irecgan {irecgan.__version__} where a worker runs; expected {version} everywhere")
    with kept_warnings() as told:
        train(**arguments)
    return told


def cause(failures: Mapping[int, Exception], health: type[Exception]) -> Exception:
    """What to tell of workers that failed, by rank: a mistake of the user's, what nobody foresaw, or a loss."""
    causes = [getattr(failure, "_base_exc", failure) for failure in failures.values()]  # Ray adds the traceback
    for found in causes:
        if isinstance(found, UserError) and not isinstance(found, LostProcessError):
            return UserError(str(found))
    for found in causes:
        if not isinstance(found, LostProcessError | health):
            return found
    return LostProcessError(f"of rank {', '.join(map(str, sorted(failures)))}")
