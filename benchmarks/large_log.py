"""Seconds, rows per second and peak memory of `prepare`, `inspect` and one epoch of `train` on large logs.

A log of N steps is drawn in bounded memory: slates of 10 items by Zipf's law, sessions of 4 clicks on average that end
with an unclicked slate, some purchases, in several Parquet files. Every command runs in a process of its own, on one
thread; the kernel tells its processor time, which other work on the machine moves little, and its peak. ``--make``
only writes the log of the first of ``--steps``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from growth import plot_growth

SLATE = 10
CLICKS = 4.0  # of a session, on average
MOST_CLICKS = 40
PURCHASES = 0.02  # of the clicks
SESSIONS_PER_FILE = 200_000  # about a million steps
ROW_GROUP = 100_000  # steps

TRAINING = {"agent_epochs": 1, "units": 16, "embedding": 8, "layers": 1, "batch_size": 256}


def write_log(directory: Path, steps: int, items: int, seed: int, *, text: bool, shuffled: bool) -> None:
    """A log of ``steps`` steps, or a few less, as Parquet files in the new directory ``directory``.

    ``text``: ids are strings. ``shuffled``: the rows of a file stand in random order.
    """
    directory.mkdir(parents=True)
    share = 1 / np.arange(1, items + 1)
    law = np.cumsum(share / share.sum())
    files, first = -(-steps // int(SESSIONS_PER_FILE * (CLICKS + 1))), 0
    for file, rows in enumerate(np.diff(np.linspace(0, steps, files + 1).astype(int))):
        generator = np.random.default_rng([seed, file])
        frame, sessions = _file(int(rows), first, law, generator)
        first += sessions
        if text:
            frame = frame.with_columns(
                pl.format("s{}", "session_id").alias("session_id"),
                pl.col("slate").cast(pl.List(pl.String)).list.eval(pl.format("i{}", pl.element())),
                pl.when(pl.col("click").is_not_null()).then(pl.format("i{}", "click")).alias("click"),
            )
        if shuffled:
            frame = frame.select(pl.all().gather(generator.permutation(len(frame))))
        frame.write_parquet(directory / f"{file:04}.parquet", row_group_size=ROW_GROUP)


def _file(rows: int, first: int, law: np.ndarray, generator: np.random.Generator) -> tuple[pl.DataFrame, int]:
    """At most ``rows`` steps of whole sessions, numbered from ``first``; and how many sessions they are."""
    drawn = np.minimum(generator.geometric(1 / CLICKS, size=rows // 2 + 1), MOST_CLICKS) + 1
    lengths = drawn[np.cumsum(drawn) <= rows]
    session = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(len(session)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    slate = _slates(len(session), law, generator)  # (rows, SLATE)
    rank = np.minimum(generator.geometric(0.3, size=len(session)) - 1, SLATE - 1)
    silent = step == lengths[session] - 1
    click = slate[np.arange(len(slate)), rank]
    bought = ~silent & (generator.random(len(session)) < PURCHASES)
    frame = pl.DataFrame(
        {
            "session_id": session + first,
            "step": step,
            "slate": pl.Series(slate).arr.to_list(),
            "click": pl.Series(click).set(pl.Series(silent), None),
            "reward": bought.astype(np.float64),
        }
    )
    return frame, len(lengths)


def _slates(rows: int, law: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Lists of different items, ids from 1: by the law, repeats drawn again evenly. (rows, SLATE)"""
    slate = np.searchsorted(law, generator.random((rows, SLATE))).clip(max=len(law) - 1)
    left = np.arange(rows)
    while len(left):
        part = slate[left]
        order = part.argsort(axis=1, kind="stable")
        inside = np.take_along_axis(part, order, axis=1)
        twice = np.zeros_like(part, dtype=bool)
        np.put_along_axis(twice, order[:, 1:], inside[:, 1:] == inside[:, :-1], axis=1)
        part[twice] = generator.integers(len(law), size=int(twice.sum()))
        slate[left] = part
        left = left[twice.any(axis=1)]
    return slate + 1


def measured(command: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, those of the processor, and peak resident memory in GB, of ``irecgan`` with these words."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "irecgan", *command], stdout=subprocess.DEVNULL, env={**os.environ, **one}
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"irecgan {' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024**2


def commands(log: Path, work: Path, recipe: str, settings: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """What is measured, in this order."""
    prepared = str(work / "prepared")
    yield "prepare", ["prepare", "log", str(log), "--out", prepared]
    yield "inspect", ["inspect", str(log)]
    words = [word for setting in settings for word in ("--set", setting)]
    yield "train", ["train", prepared, "--recipe", recipe, "--out", str(work / "run"), *words]


def figures(steps: int, work: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a command on a log of ``steps`` steps, which is removed in the end."""
    log = work / "log"
    write_log(log, steps, args.items, args.seed, text=args.text, shuffled=args.shuffled)
    rows = pl.scan_parquet(log / "*.parquet").select(pl.len()).collect().item()
    found = []
    settings = [f"{key}={value}" for key, value in TRAINING.items()] + args.set
    for name, command in commands(log, work, args.recipe, settings):
        if name not in args.commands:
            continue
        seconds, cpu, peak = measured(command)
        row = {"seconds": seconds, "CPU seconds": cpu, "steps/s": rows / cpu, "peak GB": peak}
        found.append({"command": name, "steps": rows, **row})
        print(json.dumps({key: round(x, 3) if isinstance(x, float) else x for key, x in found[-1].items()}), flush=True)
    shutil.rmtree(work)
    return found


def table(found: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| command | steps | seconds | CPU seconds | steps per CPU second | peak memory, GiB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {x['command']} | {x['steps']:,} | {x['seconds']:.1f} | {x['CPU seconds']:.1f} | {x['steps/s']:,.0f} "
        f"| {x['peak GB']:.2f} |"
        for x in found
    ]
    return "\n".join(lines)


def plot(found: Sequence[dict[str, Any]], path: Path) -> None:
    """Processor time and memory over the number of steps."""
    lines = {
        name: [row for row in found if row["command"] == name] for name in dict.fromkeys(x["command"] for x in found)
    }
    panels = {"CPU seconds": "CPU seconds", "peak GB": "peak memory, GiB"}
    plot_growth(lines, ("steps", "steps of the log"), panels, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--steps", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    add("--items", type=int, default=2_000)
    add("--seed", type=int, default=0)
    add("--text", action="store_true", help="ids are strings")
    add("--shuffled", action="store_true", help="the rows of a session are not adjacent")
    add("--commands", nargs="+", default=["prepare", "inspect", "train"])
    add("--recipe", default="pg")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="further settings of the training")
    add("--make", type=Path, metavar="DIR", help="only write the log")
    add("--out", type=Path, metavar="FILE.json")
    add("--plot", type=Path, metavar="FILE.svg")
    args = parser.parse_args()
    if args.make:
        write_log(args.make, args.steps[0], args.items, args.seed, text=args.text, shuffled=args.shuffled)
        return
    with tempfile.TemporaryDirectory() as home:
        found = [row for steps in args.steps for row in figures(steps, Path(home) / str(steps), args)]
    print(table(found))
    if args.out:
        args.out.write_text(json.dumps(found, indent=2) + "\n")
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    main()
