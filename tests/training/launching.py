"""Processes that train together, as torchrun would start them."""

import os
import socket
import subprocess
import sys
from pathlib import Path


def launch(argv: list[object], size: int = 2) -> list["subprocess.Popen[str]"]:
    """The processes that torchrun would start."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return [
        subprocess.Popen(
            [sys.executable, *map(str, argv)],
            env={**os.environ, **place, "PYTHONPATH": path, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def finished(processes: list["subprocess.Popen[str]"]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each."""
    return [(process.returncode, *texts) for process in processes for texts in [process.communicate(timeout=240)]]
