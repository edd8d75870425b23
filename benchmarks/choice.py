"""Does the choice of ``auto`` track the truth? Estimates beside true worth, in simulated worlds.

Every candidate is fitted to the whole log too, and measured in the world the log came from. The table says how often
the choice was the truly best, what it cost when it was not, and how estimates and truths rank together. Cells that the
file has already are not measured again.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from scipy import stats

from irecgan.data.log import SessionLog
from irecgan.evaluation.online import play
from irecgan.files import write_json
from irecgan.policies.logging import logging_policies
from irecgan.runs.manifest import Decision, Manifest
from irecgan.runs.trained import load_policy
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.tables import aligned
from irecgan.training.config import TrainingConfig
from irecgan.training.train import train
from irecgan.worlds.mdp import MDPWorld, draw_world

Cell = dict[str, Any]


def worth(run: Path, world: MDPWorld, sessions: int) -> float:
    """The cumulative reward of a run's top slates."""
    policy = load_policy(run).in_world(world.catalogue_size, slate_size=world.slate_size)
    return play(policy, world, sessions, Streams(0).child("evaluate")).cumulative_reward.mean


def learned(log: SessionLog, recipe: str, run: Path, seed: int, config: TrainingConfig) -> float:
    """Seconds of a processor to learn."""
    begin = time.process_time()
    train(log, recipe=recipe, out=run, seed=seed, settings=config)
    return time.process_time() - begin


def measured(law: str, name: str, seed: int, args: argparse.Namespace) -> Cell:
    """The choice on one log, and the truth about every candidate."""
    world = draw_world(law, args.states, args.items, args.slate_size, seed=seed)
    streams = Streams(seed).child("simulate")
    log = simulated_log(logging_policies(world)[name], world, args.sessions, max_length=1_000, streams=streams)
    config = TrainingConfig.parse(args.settings, args.preset)
    with tempfile.TemporaryDirectory() as folder:
        auto = Path(folder) / "auto"
        seconds = {"auto": learned(log, "auto", auto, seed, config)}
        decision = Manifest.read(auto).decision
        if decision is None:
            raise RuntimeError("expected a decision of auto")
        true = {"auto": worth(auto, world, args.evaluation_sessions)}
        for candidate in decision.candidates:
            run = Path(folder) / candidate.name
            seconds[candidate.name] = learned(log, candidate.name, run, seed, config)
            true[candidate.name] = worth(run, world, args.evaluation_sessions)
    return {
        "law": law,
        "log": name,
        "seed": seed,
        "states": args.states,
        "items": args.items,
        "slate_size": args.slate_size,
        "sessions": args.sessions,
        "decision": decision.model_dump(),
        "true": true,
        "seconds": seconds,
    }


def table(cells: list[Cell]) -> str:
    """One row for each law and log, and beneath it what the choice cost."""
    rows, agreements = [["law, log", "worlds", "right", "regret", "auto", "candidates: true (estimated)", "s"]], []
    for law, log in dict.fromkeys((cell["law"], cell["log"]) for cell in cells):
        found = [cell for cell in cells if (cell["law"], cell["log"]) == (law, log)]
        decisions = [Decision.model_validate(cell["decision"]) for cell in found]
        known = [{c.name: c.estimate for c in d.candidates if c.estimate is not None} for d in decisions]
        regrets = [
            max(cell["true"][name] for name in names) - cell["true"]["auto"]
            for cell, names in zip(found, known, strict=True)
        ]
        for cell, estimates in zip(found, known, strict=True):
            truth = [cell["true"][name] for name in estimates]
            agreements.append(float(stats.spearmanr(list(estimates.values()), truth).statistic))
        each = [
            f"{name} {mean(cell['true'][name] for cell in found):.2f} ({mean(e[name] for e in known if name in e):.2f})"
            for name in known[0]
        ]
        right = sum(regret < 0.02 for regret in regrets)
        auto = mean(cell["true"]["auto"] for cell in found)
        seconds = mean(cell["seconds"]["auto"] for cell in found)
        figures = [f"{mean(regrets):.3f}", f"{auto:.2f}", ", ".join(each), f"{seconds:.0f}"]
        rows.append([f"{law}, {log}", str(len(found)), str(right), *figures])
    return aligned(rows, left=True) + f"\nrank correlation of estimates and truths: {mean(agreements):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laws", default="dirichlet:0.02,softmax", help="transition laws, with commas")
    parser.add_argument("--logs", default="mix,max,random", help="logging policies, with commas")
    parser.add_argument("--seeds", default="0,1,2", help="one world each, with commas")
    parser.add_argument("--states", type=int, default=10)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--slate-size", type=int, default=10)
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--evaluation-sessions", type=int, default=8_000)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cells: list[Cell] = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    keys = ("law", "log", "seed", "states", "items", "slate_size", "sessions")
    known = {tuple(cell[key] for key in keys) for cell in cells}
    for seed in map(int, args.seeds.split(",")):
        for law in args.laws.split(","):
            for log in args.logs.split(","):
                if (law, log, seed, args.states, args.items, args.slate_size, args.sessions) in known:
                    continue
                cells.append(measured(law, log, seed, args))
                print(law, log, seed, json.dumps(cells[-1]["decision"]["reason"]), cells[-1]["true"], flush=True)
                if args.out:
                    write_json(args.out, cells)
    print(table(cells))


if __name__ == "__main__":
    main()
