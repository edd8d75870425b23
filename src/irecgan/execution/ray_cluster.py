"""A Ray cluster: one that is there, or one of this machine for as long as it is needed."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from irecgan.errors import UserError

LOCAL = "local"
TIMEOUT = 30.0
_OURS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anyone
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # tasks without a GPU leave CUDA_VISIBLE_DEVICES alone
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what Ray says of lost workers would go to stdout, among the answers
}
_PROBE = """
import sys, ray
try:
    ray.init(address=sys.argv[1], logging_level="error", log_to_driver=False)
except Exception as error:
    sys.exit((str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[-1])
ray.shutdown()
"""


@dataclass(frozen=True)
class Cluster:
    """Where a Ray cluster answers.

    Attributes:
        address: ``local`` for one of this machine alone, made for the work; ``auto`` for the one this machine belongs
            to; or HOST:PORT of its head.
        timeout: seconds within which it has to answer.
        cpus: those of a local one; None for all of the machine.

    """

    address: str
    timeout: float = TIMEOUT
    cpus: int | None = None

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """The module ``ray``, connected; a connection that is there already is used and left.

        Raises UserError where Ray is not installed, or the address does not answer in time.
        """
        ray = module("ray")
        if ray.is_initialized():
            yield ray
            return
        handler = signal.getsignal(signal.SIGTERM)
        self._connect(ray)
        with _sigterm_left_to(handler):
            try:
                yield ray
            finally:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        quiet: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
        if self.address == LOCAL:
            self._start_here(ray, quiet)
            return
        self._expect_answer()
        ray.init(address=self.address, **quiet)

    def _start_here(self, ray: Any, quiet: dict[str, Any]) -> None:
        """Start a cluster; on a machine that is busy Ray may give up on its own processes, so it is tried again."""
        for last in (False, True):
            try:
                ray.init(address=LOCAL, num_cpus=self.cpus, include_dashboard=False, **quiet)
                return
            except Exception as error:  # Ray raises this very class where its processes do not start
                ray.shutdown()
                if last:
                    raise UserError(f"--ray {LOCAL}: no cluster could be started here ({error})") from error

    def _expect_answer(self) -> None:
        """Try the address in a process that can be ended: Ray itself would wait for minutes, deaf to interrupts."""
        if "://" in self.address:
            raise UserError(
                f"--ray {self.address}: expected local, auto or HOST:PORT, on a machine of the cluster; "
                "from another one, submit the command by 'ray job submit'"
            )
        command = [sys.executable, "-c", _PROBE, self.address]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=self.timeout, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"--ray {self.address}: no Ray cluster answers within {self.timeout:g} s; expected the address that "
                "'ray start --head' told, seen from a machine of the cluster"
            ) from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UserError(f"--ray {self.address}: {reason[:300]}; expected the address of a Ray cluster")


@contextmanager
def _sigterm_left_to(handler: Any) -> Iterator[None]:
    """Have ``handler`` heed SIGTERM in place of Ray, which aborts.

    What it raises while Ray waits, Ray turns into an interrupt; that is turned back.
    """
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    raised: list[BaseException] = []

    def heed(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    signal.signal(signal.SIGTERM, heed)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise raised[0] if raised else interrupt from None
    finally:
        signal.signal(signal.SIGTERM, handler)


def module(name: str) -> Any:
    """A module of Ray, set to report to nobody. Raises UserError that names the extra where it is not installed."""
    for key, value in _OURS.items():
        os.environ.setdefault(key, value)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"--ray: {error.name} is not installed; pip install 'irecgan[ray]'") from None
