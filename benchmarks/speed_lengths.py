"""Seconds of a generated session by its length, and by how many are generated at once: batched and plain.

    python benchmarks/speed_lengths.py --out FILE.json --plot FILE.svg

Users of this benchmark never leave, so that every session has as many clicks as it may. The plain way generates one
session at a time (`plain.py`), so its time has no number of sessions to depend on. Seconds are the processor's.
A point is the median of ``--repeats``. What FILE.json holds already is not measured again, but drawn.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import torch

from irecgan.files import write_json
from irecgan.models.agent import Agent
from irecgan.models.discriminator import Discriminator
from irecgan.models.recurrent import Size, initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import Stage, rollout, scored_rollout
from irecgan.tables import aligned
from irecgan.worlds.learned import LearnedWorld
from plain import PlainGenerator
from speed_work import use_layers

ITEMS, SLATE, COMPLETIONS = 50, 10, 5
Networks = tuple[Agent, RecurrentUserModel, Discriminator]
Row = dict[str, Any]


def networks(units: int) -> Networks:
    """Weights as they are drawn, but users who never leave."""
    size = Size(ITEMS, units=units)
    made = Agent(size), RecurrentUserModel(size), Discriminator(size)
    for seed, network in enumerate(made):
        initialise(network, torch.Generator().manual_seed(seed))
    torch.nn.init.constant_(made[1].stop.bias, -1e3)
    return made


def batched(made: Networks, length: int, sessions: int, *, scored: bool) -> Callable[[], object]:
    """The generation of ``sessions`` sessions of ``length`` clicks at once."""
    agent, user, judge = made
    stage = Stage(RankingPolicy(agent, SLATE, sampled=True), LearnedWorld(user), length, judge if scored else None)

    def work() -> object:
        generator = torch.Generator().manual_seed(2)
        if scored:
            return scored_rollout(stage, sessions, completions=COMPLETIONS, generator=generator)
        return rollout(stage.policy, stage.world, sessions, max_length=length, generator=generator)

    return work


def plainly(made: Networks, length: int, *, scored: bool) -> Callable[[], object]:
    """The same of one session, by torch's own layers."""
    own = deepcopy(made)
    use_layers(own, packs=False)

    def work() -> object:
        generator, reference = torch.Generator().manual_seed(2), PlainGenerator(*own, SLATE, length)
        return reference.scored(COMPLETIONS, generator) if scored else reference.session(generator)

    return work


def seconds(work: Callable[[], object], sessions: int, repeats: int) -> list[float]:
    """Of the processor, for a session."""
    work()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append((time.process_time() - begin) / sessions)
    return found


def measured(args: argparse.Namespace) -> list[Row]:
    """One row for each point of the figure."""
    made, rows = networks(args.units), []
    points = [(length, args.sessions) for length in args.lengths] + [(args.length, count) for count in args.counts]
    for scored in (False, True):
        for length, count in dict.fromkeys(points):
            rows.append({"way": "batched", "scored": scored, "clicks": length, "sessions": count})
            rows[-1]["seconds"] = seconds(batched(made, length, count, scored=scored), count, args.repeats)
        for length in args.lengths:
            rows.append({"way": "plain", "scored": scored, "clicks": length, "sessions": 1})
            rows[-1]["seconds"] = seconds(plainly(made, length, scored=scored), 1, args.repeats)
        print("with scores" if scored else "without scores", file=sys.stderr, flush=True)
    return rows


def table(rows: list[Row]) -> str:
    """Aligned text: milliseconds of a session, the median and the extremes."""
    cells = [["way", "scored", "clicks", "sessions at once", "ms a session", "ms a click"]]
    for row in rows:
        low, mid, high = (1_000 * value for value in (min(row["seconds"]), median(row["seconds"]), max(row["seconds"])))
        shape = [str(row[key]) for key in ("way", "scored", "clicks", "sessions")]
        cells.append([*shape, f"{mid:.3g} [{low:.3g}, {high:.3g}]", f"{mid / row['clicks']:.3g}"])
    return aligned(cells, left=True)


def draw(rows: list[Row], sessions: int, length: int, path: Path) -> None:
    """Milliseconds of a session over its clicks, and over the sessions generated at once."""
    figure, (by_length, by_count) = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
    for number, scored in enumerate((False, True)):
        name = "with scores" if scored else "without scores"
        of = [row for row in rows if row["scored"] == scored]
        plain = [row for row in of if row["way"] == "plain"]
        ours = [row for row in of if row["way"] == "batched"]
        at_once = [row for row in ours if row["sessions"] == sessions]
        _line(by_length, plain, "clicks", f"plain, {name}", f"C{number}:")
        _line(by_length, at_once, "clicks", f"batched, {name}", f"C{number}-")
        of_length = sorted((row for row in ours if row["clicks"] == length), key=lambda row: row["sessions"])
        _line(by_count, of_length, "sessions", f"batched, {name}", f"C{number}-")
        for row in plain:
            if row["clicks"] == length:
                by_count.axhline(1_000 * median(row["seconds"]), color=f"C{number}", linestyle=":")
    by_length.set(xlabel=f"clicks of a session, {sessions} sessions at once", ylabel="milliseconds of a session")
    by_count.set(xlabel=f"sessions at once, of {length} clicks")
    by_length.legend(frameon=False, fontsize="small")
    for axes, key in ((by_length, "clicks"), (by_count, "sessions")):
        ticks = sorted({row[key] for row in rows if row["way"] == "batched"})
        axes.set_xticks(ticks, labels=[f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.savefig(path)


def _line(axes: Any, rows: list[Row], key: str, label: str, style: str) -> None:
    axes.loglog(
        [row[key] for row in rows], [1_000 * median(row["seconds"]) for row in rows], style, marker="o", label=label
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="clicks of a session")
    parser.add_argument("--sessions", type=int, default=100, help="at once, where lengths differ")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 10, 100, 1_000], help="sessions at once")
    parser.add_argument("--length", type=int, default=4, help="clicks of a session, where counts differ")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = args.out is not None and args.out.exists()
    rows = json.loads(args.out.read_text()) if known else measured(args)
    if args.out:
        write_json(args.out, rows)
    print(table(rows))
    if args.plot:
        draw(rows, args.sessions, args.length, args.plot)


if __name__ == "__main__":
    main()
