"""Where the time of a whole training goes: `irecgan train --recipe irecgan` at the paper's sizes, timed from inside.

    python benchmarks/training.py --out FILE.json

It makes the log (`--sessions` of the policy mix, in the simulated world) and gives it to the command as a user would.
Nothing is copied or multiplied up: functions of the package are wrapped to stop their times. A time is of a part
alone, without the parts within it. ``--set`` changes settings of the training.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from irecgan import cli
from irecgan.files import write_json
from irecgan.tables import aligned
from irecgan.training import loop, phases, train
from irecgan.training.lab import Lab
from irecgan.training.learner import Learner

Row = dict[str, Any]
Clock = Callable[[], tuple[float, float]]
SHARES = "share", "share of the processor"


def both_clocks() -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    return time.perf_counter(), time.process_time()


class Stopwatch:
    """Adds up the seconds of functions, each without those called within it, by the phase they were called in."""

    def __init__(self, clock: Clock = both_clocks) -> None:
        self.seconds: dict[tuple[str, str], list[float]] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self._clock = clock
        self._phase = "around"
        self._within: list[list[float]] = []  # what the functions called within each of those under way took

    def watch(self, owner: Any, name: str, part: str | Callable[..., str], *, phase: bool = False) -> None:
        """Time ``owner.name`` as ``part``, which may depend on its arguments; or as what its ``phase`` has besides."""
        work = getattr(owner, name)

        @wraps(work)
        def timed(*given: Any, **named: Any) -> Any:
            label = part if isinstance(part, str) else part(*given, **named)
            before = self._phase
            self._phase, label = (label, "besides") if phase else (before, label)
            begin = self._clock()
            self._within.append([0.0, 0.0])
            try:
                return work(*given, **named)
            finally:
                self._note(label, begin)
                self._phase = before

        setattr(owner, name, timed)

    def _note(self, part: str, begin: tuple[float, float]) -> None:
        key, inner = (self._phase, part), self._within.pop()
        total = [end - start for end, start in zip(self._clock(), begin, strict=True)]
        sums = self.seconds.setdefault(key, [0.0, 0.0])
        for i, seconds in enumerate(total):
            sums[i] += seconds - inner[i]
            if self._within:
                self._within[-1][i] += seconds
        self.calls[key] += 1

    def rows(self) -> list[Row]:
        """One for each part of a phase, in the order in which they were done first, with its shares of all."""
        whole = [sum(column) for column in zip(*self.seconds.values(), strict=True)]
        return [
            {
                "phase": phase,
                "part": part,
                "calls": self.calls[phase, part],
                "seconds": seconds,
                "processor": processor,
                "share": seconds / whole[0],
                "share of the processor": processor / whole[1],
            }
            for (phase, part), (seconds, processor) in self.seconds.items()
        ]


def generation(lab: Lab, sessions: int, generator: torch.Generator, *, scored: bool) -> str:  # noqa: ARG001
    """What `Lab.generate` is called here."""
    return "generation with scores" if scored else "generation"


def placed() -> Stopwatch:
    """A stopwatch at everything that a training spends its time on."""
    watch = Stopwatch()
    for kind in (phases.Fit, phases.FitDiscriminator, phases.Rounds):
        watch.watch(kind, "unit", lambda phase, *_: str(phase.name), phase=True)
    names = {"RecurrentUserModel": "user", "Agent": "agent", "Discriminator": "discriminator"}
    watch.watch(Learner, "epoch", lambda learner, *_: f"epochs of {names[type(learner.model).__name__]}")
    watch.watch(Lab, "discriminator_epoch", "epochs of discriminator")
    watch.watch(Lab, "generate", generation)
    watch.watch(phases, "mean_loss", "held-out losses")
    watch.watch(phases, "calibrate_stop", "calibration of stopping")
    watch.watch(loop, "save_checkpoint", "checkpoints")
    watch.watch(train, "_read", "reading")
    watch.watch(train, "make_lab", "networks and optimisers")
    watch.watch(train, "_finish", "writing the run")
    watch.watch(train, "load_policy", "loading it")
    return watch


def measured(args: argparse.Namespace) -> Row:
    """A whole training, timed in this process."""
    torch.set_num_threads(args.threads)
    settings = [part for setting in args.set for part in ("--set", setting)]
    watch = placed()
    watch.watch(cli, "main", "the rest of the command")
    with tempfile.TemporaryDirectory() as home:
        log, run = Path(home) / "log.parquet", Path(home) / "run"
        simulate = ["simulate", "--out", str(log), "--policy", "mix", "--sessions", str(args.sessions)]
        subprocess.run([sys.executable, "-m", "irecgan", *simulate], check=True, stdout=subprocess.DEVNULL)
        if cli.main(["train", str(log), "--recipe", "irecgan", "--out", str(run), *settings]):
            raise SystemExit(1)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    units = Counter(line["phase"] for line in lines)
    given = {"sessions": args.sessions, "threads": args.threads, "settings": args.set, "units": dict(units)}
    return {**given, "parts": watch.rows()}


def by_part(parts: list[Row]) -> list[Row]:
    """The same added up over phases, the largest first."""
    sums: dict[str, Row] = {}
    for row in parts:
        total = sums.setdefault(row["part"], {"phase": "all", "part": row["part"]})
        for key in ("calls", "seconds", "processor", *SHARES):
            total[key] = total.get(key, 0) + row[key]
    return sorted(sums.values(), key=lambda row: -row["seconds"])


def table(found: Row) -> str:
    """Aligned text: every part of every phase, sums by part, and all."""
    cells = [["phase", "part", "calls", "seconds", "processor", *SHARES]]
    for row in [*found["parts"], *by_part(found["parts"])]:
        seconds = [f"{row[key]:.2f}" for key in ("seconds", "processor")]
        cells.append([row["phase"], row["part"], str(row["calls"]), *seconds, *(f"{row[key]:.1%}" for key in SHARES)])
    whole = [sum(row[key] for row in found["parts"]) for key in ("seconds", "processor")]
    units = ", ".join(f"{count} of {phase}" for phase, count in found["units"].items())
    return f"{aligned(cells, left=True)}\n{whole[0]:.1f} s, {whole[1]:.1f} s of the processor; units: {units}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    found = measured(args)
    print(table(found))
    if args.out:
        write_json(args.out, found)


if __name__ == "__main__":
    main()
