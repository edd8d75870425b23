"""Sessions per second of one process and of more that train together, each with one thread.

For every ``--batch-sizes`` B four arrangements are measured, by turns: one process that steps on B sessions, one that
steps on as many as all processes together, all processes apart (each does the whole work for itself: what the machine
gives at best), and all together, B sessions each, as `irecgan train` under torchrun does. Of ``--repeats`` the highest
rate counts. The training is all of irecgan, with one epoch of U and A and one round, on a log of `mix`.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch

import irecgan
from irecgan.data.batch import Sessions
from irecgan.files import write_json
from irecgan.models.networks import ModelName
from irecgan.policies.interface import Policy
from irecgan.policies.logging import MaxPolicy, MixPolicy, RandomPolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.tables import aligned
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.distributed import ALONE, Processes, process_group
from irecgan.training.lab import Lab, make_lab
from irecgan.training.phases import discriminator_epoch
from irecgan.training.recipes import find_recipe
from irecgan.worlds.mdp import draw_world

Key = tuple[str, str]
"""Log and work."""
Rates = dict[Key, float]
"""Sessions per second."""
ROUND = {"user_epochs": 1, "agent_epochs": 1, "rounds": 1}


@dataclass(frozen=True)
class Arrangement:
    """How processes share the work."""

    name: str
    processes: int
    batch_size: int  # of each
    together: bool = True


def arrangements(batch_size: int, processes: int) -> list[Arrangement]:
    return [
        Arrangement("one", 1, batch_size),
        Arrangement("one, same batch", 1, batch_size * processes),
        Arrangement("apart", processes, batch_size, together=False),
        Arrangement("together", processes, batch_size),
    ]


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

    def generate(sessions: int, *, scored: bool) -> Callable[[], object]:
        return lambda: lab.generate_sessions(sessions, lab.own_stream("speed"), scored=scored)

    judged = min(lab.config.discriminator_sessions, len(train))
    return {  # U learns last: sessions are generated as long by all arrangements
        "generation": (10 * args.generated, generate(10 * args.generated, scored=False)),
        "generation with scores": (args.generated, generate(args.generated, scored=True)),
        "D epoch": (judged, lambda: discriminator_epoch(lab, ("speed",))),
        "A epoch": (len(train), epoch("agent")),
        "U epoch": (len(train), epoch("user")),
    }


def warm_up(lab: Lab) -> None:
    """A few steps of every kind, but U as it was."""
    few = lab.data.train.select(torch.arange(min(len(lab.data.train), 3 * lab.config.batch_size * lab.processes.size)))
    before = {name: value.clone() for name, value in lab.user.state_dict().items()}
    models: tuple[ModelName, ...] = ("user", "agent")
    for name in models:
        lab.learners[name].epoch(lab.losses[name], few, lab.config.batch_size, Streams(1).torch("warm"))
    lab.user.load_state_dict(before)
    lab.discriminator_epoch(lab.generate_sessions(len(few), lab.own_stream("warm"), scored=False), torch.Generator())
    lab.generate_sessions(10, lab.own_stream("warm"), scored=True)


def rates(processes: Processes, log: str, args: argparse.Namespace) -> dict[str, float]:
    """Sessions per second by what is done, of the process or of all ``processes`` that work together."""
    lab, found = lab_of(processes, log, args), {}
    warm_up(lab)
    for name, (sessions, work) in works(lab, args).items():
        found[name] = sessions / timed(processes, work)
    return found


def training(processes: Processes, args: argparse.Namespace) -> float:
    """Sessions per second of a whole training, reading and writing included."""
    world = draw_world("softmax", seed=0)
    log = simulated_log(MixPolicy(world), world, args.sessions, max_length=40, streams=Streams(0))
    settings = {**ROUND, "units": args.units, "batch_size": args.batch_size}
    out = Path(args.scratch) / f"run-{args.batch_size}-{processes.size}-{time.monotonic_ns() if args.apart else 0}"
    seconds = timed(processes, lambda: irecgan.train(log, recipe="irecgan", out=out, settings=settings))
    return float(args.sessions / seconds)


def timed(processes: Processes, work: Callable[[], object]) -> float:
    processes.wait()
    begin = time.perf_counter()
    work()
    processes.wait()
    return time.perf_counter() - begin


def worker(args: argparse.Namespace) -> None:
    """One of the processes: the first prints sessions per second, a line for each log."""
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")) as found:
        processes = ALONE if args.apart else found
        for log in args.logs:
            rate = {"training": training(processes, args)} if log == "mix" else rates(processes, log, args)
            if found.first:
                print(json.dumps({"log": log, "found": rate}), flush=True)
            found.wait()


def measured(arrangement: Arrangement, args: argparse.Namespace) -> Rates:
    """Sessions per second of an arrangement; of processes that work apart, the sum over them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = args.logs if arrangement.together else [log for log in args.logs if log != "mix"]
    if not logs:
        return {}
    given = {**{name: getattr(args, name) for name in ("units", "sessions", "generated")}}
    options = [f"--{name}={value}" for name, value in given.items()]
    options += [f"--batch-size={arrangement.batch_size}", "--logs", *logs]
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, __file__, "--worker", f"--scratch={scratch}", *options]
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(arrangement.processes)}
        started = [
            subprocess.Popen(
                [*command, *(() if arrangement.together else ("--apart",))],
                env={**os.environ, **place, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(arrangement.processes)
        ]
        texts = [process.communicate()[0] for process in started]
        if any(process.returncode for process in started):
            raise SystemExit(1)
    lines = [json.loads(line) for line in texts[0].splitlines()]
    times = 1 if arrangement.together else arrangement.processes
    return {(line["log"], name): times * rate for line in lines for name, rate in line["found"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--sessions", type=int, default=4_000, help="logged")
    parser.add_argument("--generated", type=int, default=100, help="with scores; without, 10 times as many")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="*", default=[32, 128, 256], help="of a step and process; none: draw"
    )
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--logs", nargs="+", default=["random", "max", "mix"], help="mix: the training")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="adds to what it holds")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="of all that FILE.json holds")
    for hidden in ("--worker", "--apart"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    for hidden in ("--batch-size", "--scratch"):
        parser.add_argument(hidden, type=int if hidden == "--batch-size" else str, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args)
        return
    found = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    for batch_size in args.batch_sizes:
        best: dict[str, Rates] = {}
        for _ in range(args.repeats):
            for arrangement in arrangements(batch_size, args.processes):
                for key, rate in measured(arrangement, args).items():
                    kept = best.setdefault(arrangement.name, {})
                    kept[key] = max(rate, kept.get(key, 0.0))
        found += [row(batch_size, key, best) for key in best["together"]]
        if args.out:
            write_json(args.out, found)
    print(table(found))
    if args.plot:
        draw(found, args.plot)


def row(batch_size: int, key: Key, best: dict[str, Rates]) -> dict[str, Any]:
    rate = {name: rates[key] for name, rates in best.items() if key in rates}
    ratios = {f"over {name}": rate["together"] / rate[name] for name in ("one", "one, same batch")}
    if "apart" in rate:
        ratios["at best"] = rate["apart"] / rate["one"]
    return {"batch": batch_size, "log": key[0], "work": key[1], "sessions per second": rate, "ratios": ratios}


def table(found: list[dict[str, Any]]) -> str:
    names = ("one", "one, same batch", "apart", "together")
    ratios = ("over one", "over one, same batch", "at best")
    rows = [
        [str(each["batch"]), each["log"], each["work"]]
        + [f"{each['sessions per second'][name]:.1f}" if name in each["sessions per second"] else "" for name in names]
        + [f"{each['ratios'][name]:.2f}" if name in each["ratios"] else "" for name in ratios]
        for each in found
    ]
    return aligned([["batch", "log", "work", *names, *ratios], *rows], left=True)


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Throughput of all processes over that of one with the same batch, by the batch of each."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    for axes, log in zip(panels, ("random", "max"), strict=True):
        for work in dict.fromkeys(each["work"] for each in found if each["log"] == log):
            points = [
                (e["batch"], e["ratios"]["over one, same batch"]) for e in found if (e["log"], e["work"]) == (log, work)
            ]
            axes.plot(*zip(*points, strict=True), marker="o", label=work)
        axes.set(title=f"sessions of {log}", xlabel="sessions of a step and process", xscale="log")
        axes.set_xticks(sorted({each["batch"] for each in found}), labels=sorted({each["batch"] for each in found}))
        axes.minorticks_off()
        axes.axhline(1, color="grey", linestyle=":")
    panels[0].set(ylabel="throughput over one process")
    panels[0].legend(fontsize="small")
    figure.savefig(path, bbox_inches="tight")


if __name__ == "__main__":
    main()
