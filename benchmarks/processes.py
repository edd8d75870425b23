"""Sessions per second of one process and of more that train together, each with one thread.

Every process gets ``--batch-size`` sessions a step, as `irecgan train` under torchrun does. Settings are measured by
turns, and the highest rate of ``--repeats`` runs counts.
"""

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch

from irecgan.data.batch import Sessions
from irecgan.files import write_json
from irecgan.models.networks import ModelName
from irecgan.policies.interface import Policy
from irecgan.policies.logging import MaxPolicy, RandomPolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.tables import aligned
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.distributed import Processes, process_group
from irecgan.training.lab import Lab, make_lab
from irecgan.training.phases import discriminator_epoch
from irecgan.training.recipes import find_recipe
from irecgan.worlds.mdp import draw_world


def lab_of(processes: Processes, log: str, args: argparse.Namespace) -> Lab:
    world = draw_world("softmax", seed=0)
    policies: dict[str, Policy[Any]] = {
        "random": RandomPolicy(world.catalogue_size, world.slate_size),
        "max": MaxPolicy(world),
    }
    made = rollout(policies[log], world, args.sessions, max_length=40, generator=torch.Generator().manual_seed(0))
    train, validation = hold_out(Sessions.from_batch(made), 0.1, torch.Generator().manual_seed(0))
    config = TrainingConfig(units=args.units, batch_size=args.batch_size, max_length=12)
    data = TrainingData(train, validation, final_slates=True)
    return make_lab(data, config, Streams(0), find_recipe("irecgan").agent_loss, processes=processes)


def works(lab: Lab, args: argparse.Namespace) -> dict[str, tuple[int, Callable[[], object]]]:
    """What is timed, with the sessions that it moves."""
    train, size = lab.data.train, lab.config.batch_size

    def epoch(model: ModelName) -> Callable[[], object]:
        return lambda: lab.learners[model].epoch(lab.losses[model], train, size, Streams(1).torch("shuffle"))

    def generate() -> object:
        return lab.generate_sessions(args.generated, lab.own_stream("speed"), scored=True)

    return {
        "U epoch": (len(train), epoch("user")),
        "A epoch": (len(train), epoch("agent")),
        "D epoch": (min(lab.config.discriminator_sessions, len(train)), lambda: discriminator_epoch(lab, ("speed",))),
        "generation with scores": (args.generated, generate),
    }


def worker(args: argparse.Namespace) -> None:
    """One of the processes: the first prints sessions per second, a line for each log."""
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")) as processes:
        for log in ("random", "max"):
            found = rates(processes, log, args)
            if processes.first:
                print(json.dumps({"log": log, "found": found}), flush=True)


def rates(processes: Processes, log: str, args: argparse.Namespace) -> dict[str, float]:
    """Sessions per second of all ``processes``, by what they do."""
    found = {}
    for name, (sessions, work) in works(lab_of(processes, log, args), args).items():
        work()
        processes.wait()
        begin = time.perf_counter()
        work()
        processes.wait()
        found[name] = sessions / (time.perf_counter() - begin)
    return found


def together(size: int, options: list[str]) -> dict[tuple[str, str], float]:
    """Sessions per second of ``size`` processes, by log and work."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(size), "--master-port", str(port)]
    command = [sys.executable, *launch, __file__, *options, "--worker"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(line["log"], name): rate for line in lines for name, rate in line["found"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--generated", type=int, default=100, help="sessions generated with scores, in all")
    parser.add_argument("--batch-size", type=int, default=32, help="sessions of a step and process")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args)
        return
    given = ("units", "sessions", "generated", "batch_size")
    options = [part for name in given for part in (f"--{name.replace('_', '-')}", str(getattr(args, name)))]
    best: dict[int, dict[tuple[str, str], float]] = {size: {} for size in args.processes}
    for _ in range(args.repeats):
        for size in args.processes:
            for key, rate in together(size, options).items():
                best[size][key] = max(rate, best[size].get(key, 0.0))
    first = best[args.processes[0]]
    heads = ["log", "work", *(f"{size} processes" for size in args.processes), "ratio"]
    ratios = {key: best[args.processes[-1]][key] / rate for key, rate in first.items()}
    rows = [[*key, *(f"{best[size][key]:.1f}" for size in args.processes), f"{ratios[key]:.2f}"] for key in first]
    print(aligned([heads, *rows], left=True))
    if args.out:
        found = [
            {"log": log, "work": name, "rates": {str(s): best[s][log, name] for s in best}, "ratio": ratios[log, name]}
            for log, name in first
        ]
        write_json(args.out, {"setting": {name: getattr(args, name) for name in given}, "sessions per second": found})
    if args.plot:
        draw(best, args.plot)


def draw(best: dict[int, dict[tuple[str, str], float]], path: Path) -> None:
    """Throughput over processes, relative to the first, beside the line of no loss."""
    figure, axes = plt.subplots(figsize=(6, 4))
    sizes = list(best)
    for key, rate in best[sizes[0]].items():
        axes.plot(sizes, [best[size][key] / rate for size in sizes], marker="o", label=", ".join(reversed(key)))
    axes.plot(sizes, [size / sizes[0] for size in sizes], color="grey", linestyle="--", label="no loss")
    axes.set(xlabel="processes of one thread", ylabel="sessions per second, relative", xticks=sizes)
    axes.legend(fontsize="small")
    figure.savefig(path, bbox_inches="tight")


if __name__ == "__main__":
    main()
