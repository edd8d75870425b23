import importlib.util
import os
import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from irecgan.execution.ray_cluster import Cluster

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start; see `_one_thread`
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # as commands do; Ray reads it once, whoever imports it first
settings.register_profile("any machine", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side, each on tiny tensors: more threads only get in each other's way."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray cluster of two CPUs on this machine, to which this process is connected."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: irecgan[ray]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # workers have to find the modules of tests
        patch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")  # Ray Train looks after its workers more often
        patch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # and starts a process less
        patch.setenv("RAY_worker_niceness", "0")  # as the rest of the tests; Ray would have them wait for everybody
        with Cluster("local", cpus=2).connected() as ray:
            yield ray.get_runtime_context().gcs_address
