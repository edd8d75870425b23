"""Seconds of generation, learning, evaluation and simulation: beside a plain implementation and the arithmetic floor.

    python benchmarks/speed.py --out speed.json                 # 128 and 512 units, short and long sessions
    python benchmarks/speed.py --threads 1 --threads 2          # and what the second core is worth

    python benchmarks/speed.py --compare A.json B.json          # how far two runs of it lie apart

Seconds are those of the processor, so that other work on the machine counts less; with several threads they are the
clock's. ``torch's layers / ours`` is the same work by torch's own LSTM layers, which run over padding. Every case is a
process of its own. Within a case the rate of matrix products, the plain way and the batched one are
timed in turn, as often as ``--repeats`` says, so that noise hits all alike; the ratio is taken in each repeat, and
the table has its median and, in brackets, its extremes. Plain and batched work are compared per slate shown. Cases
that ``--out`` has already are not measured again. Logs are of the random policy (short) and of max (long).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from floor import plain_products, products
from irecgan.files import write_json
from irecgan.tables import aligned
from irecgan.training.lab import Lab
from irecgan.worlds.mdp import draw_world
from speed_lab import lab_on, logging_policy
from speed_work import Work, use_layers, works

LEARNING_ROWS, GENERATING_ROWS = 32, 1024
"""Rows of the products whose rates are the floor's: of a batch that learns, and of a roll-out."""

Row = dict[str, Any]


def timed(work: Any, *arguments: int, clock: Callable[[], float] = time.process_time) -> tuple[float, int]:
    """Seconds, and the steps done."""
    begin = clock()
    steps = work(*arguments)
    return clock() - begin, steps


def repeated(work: Work, lab: Lab, repeats: int) -> Row:
    """The times and ratios of one piece of work, by one thread."""
    size = lab.config.size(lab.data.items)
    networks = [lab.user, lab.agent, lab.discriminator]
    rows = LEARNING_ROWS if work.learns else GENERATING_ROWS
    taken: dict[str, list[float]] = {}

    def note(key: str, value: float) -> None:
        taken.setdefault(key, []).append(value)

    if not work.once:
        work.ours()
    for repeat in range(1 if work.once else repeats):
        seconds, steps = timed(work.ours)
        note("seconds", seconds * work.scale)
        if work.name != "simulator":
            use_layers(networks, packs=False)
            note("torch's layers / ours", timed(work.ours)[0] / seconds)
            use_layers(networks, packs=True)
        if work.plain is not None:
            other, done = timed(work.plain, repeat)
            note("plain / ours", (other / done) / (seconds / steps))
        if work.operations is not None:
            note("ours / floor", seconds / (work.operations / products(rows, size)))
            note("ours / floor by torch's product", seconds / (work.operations / plain_products(rows, size)))
    return {"work": work.name, "of": work.unit, **taken}


def by_threads(work: Work, threads: list[int], repeats: int) -> dict[str, list[float]]:
    """The clock's time of one thread over that of several."""
    taken: dict[str, list[float]] = {}
    for _ in range(0 if work.once else repeats):
        for count in threads:
            if count > 1:
                torch.set_num_threads(1)
                alone, _ = timed(work.ours, clock=time.perf_counter)
                torch.set_num_threads(count)
                together, _ = timed(work.ours, clock=time.perf_counter)
                taken.setdefault(f"1 / {count} threads", []).append(alone / together)
    return taken


def case(units: int, log: str, args: argparse.Namespace) -> Row:
    """Everything measured for one size of networks and one log."""
    torch.set_num_threads(1)
    world = draw_world("softmax", seed=0)
    policy = logging_policy(world, log)
    lab = lab_on(world, policy, units, args.sessions)
    size = lab.config.size(world.catalogue_size)
    rows, pieces = [], works(lab, world, policy, (args.generated, args.scored))
    for work in pieces:
        rows.append(repeated(work, lab, args.repeats))
        print(units, log, work.name, file=sys.stderr, flush=True)
    rates = {f"{rows} rows": products(rows, size) / 1e9 for rows in (LEARNING_ROWS, GENERATING_ROWS)}
    # Threads that wait for work count as the processor's time of all that follows: they come last.
    rows = [row | by_threads(work, args.threads, args.repeats) for row, work in zip(rows, pieces, strict=True)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"units": units, "log": log, "work": rows, "GFLOP/s": rates, "peak, MB": peak}


def shown(values: list[float] | None) -> str:
    """The median and the extremes."""
    if not values:
        return ""
    return f"{median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


def table(cases: list[Row]) -> str:
    """Aligned text: a row for each piece of work."""
    keys = list(dict.fromkeys(key for found in cases for row in found["work"] for key in row))
    cells = [["units", "log", *keys]]
    for found in cases:
        for row in found["work"]:
            measured = [shown(row.get(key)) for key in keys[2:]]
            cells.append([str(found["units"]), found["log"], row["work"], row["of"], *measured])
    lines = [aligned(cells, left=True)]
    for found in cases:
        rates = ", ".join(f"{value:.0f} GFLOP/s with {rows}" for rows, value in found["GFLOP/s"].items())
        lines.append(f"{found['units']} units, {found['log']}: peak memory {found['peak, MB']:.0f} MB; {rates}")
    return "\n".join(lines)


def spread(first: list[Row], second: list[Row]) -> str:
    """Aligned text: the medians of two runs, and the larger over the smaller."""
    cells = [["units", "log", "work", "figure", "first", "second", "apart"]]
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one["work"], other["work"], strict=True):
            for key in list(a)[2:]:
                x, y = median(a[key]), median(b[key])
                apart = f"{max(x, y) / min(x, y) - 1:.0%}"
                cells.append([str(one["units"]), one["log"], a["work"], key, f"{x:.3g}", f"{y:.3g}", apart])
    return aligned(cells, left=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, action="append", help="may be repeated")
    parser.add_argument("--logs", nargs="+", choices=("random", "max"), default=["random", "max"])
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--generated", type=int, default=1_000, help="sessions generated at once without scores")
    parser.add_argument("--scored", type=int, default=100, help="sessions generated at once with scores")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, action="append", help="may be repeated; 1 is always measured")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    parser.add_argument("--compare", type=Path, nargs=2, metavar="FILE.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.compare:
        print(spread(*(json.loads(path.read_text()) for path in args.compare)))
        return
    args.threads = args.threads or [1]
    if args.one:
        units, log = json.loads(args.one)
        print(json.dumps(case(units, log, args)))
        return
    cases: list[Row] = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    known = {(found["units"], found["log"]) for found in cases}
    for units in args.units or [128, 512]:
        for log in args.logs:
            if (units, log) in known:
                continue
            command = [sys.executable, __file__, *sys.argv[1:], "--one", json.dumps([units, log])]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            cases.append(json.loads(done.stdout))
            if args.out:
                write_json(args.out, cases)
    print(table(cases))


if __name__ == "__main__":
    main()
