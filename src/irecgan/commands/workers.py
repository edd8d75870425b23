"""Options that say who works tasks off."""

import argparse
import os

from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.execution.interface import Executor
from irecgan.execution.processes import LocalProcesses
from irecgan.execution.ray_cluster import LOCAL, TIMEOUT, Cluster
from irecgan.execution.ray_tasks import RayTasks


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Declare ``--workers`` and those of `add_ray`."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes (default: all cores); with --ray, tasks at once (default: as many as the cluster has room for)",
    )
    add_ray(parser)


def add_ray(parser: argparse.ArgumentParser) -> None:
    """Declare ``--ray`` and ``--ray-timeout``."""
    add = parser.add_argument
    add(
        "--ray",
        metavar="ADDRESS",
        help="work on a Ray cluster (needs irecgan[ray]): HOST:PORT of its head, 'auto' for the one this machine is "
        "part of, or 'local' for one made here",
    )
    add(
        "--ray-timeout",
        type=float,
        default=TIMEOUT,
        metavar="S",
        help=f"seconds within which the cluster has to answer (default: {TIMEOUT:g})",
    )


def chosen_executor(args: argparse.Namespace, gpus: float = 0) -> Executor:
    """Who works tasks off, of which each takes ``gpus`` of a Ray cluster. Raises UserError for wrong options."""
    check_workers(args.workers)
    if args.ray is None:
        count = args.workers or os.cpu_count() or 1
        return Here() if count == 1 else LocalProcesses(count)
    return RayTasks(cluster(args), args.workers, gpus)


def check_workers(count: int | None) -> None:
    """Raise UserError where ``--workers`` is no number of workers."""
    if count is not None and count < 1:
        raise UserError(f"--workers: found {count}, expected at least 1")


def cluster(args: argparse.Namespace) -> Cluster:
    """The Ray cluster of ``--ray``; one made here has as many CPUs as there are workers."""
    if not args.ray_timeout > 0:
        raise UserError(f"--ray-timeout: found {args.ray_timeout:g}, expected seconds above 0")
    return Cluster(args.ray, args.ray_timeout, args.workers if args.ray == LOCAL else None)
