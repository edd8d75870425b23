"""Learning from whole slates against credit for the click, by settings and logs: paired worlds, with tests.

Every variant of a world learns from the same log and meets the same evaluation draws.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from irecgan.data.log import SessionLog
from irecgan.evaluation.online import play
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.verdicts import Comparison, judge
from irecgan.files import write_json
from irecgan.policies.logging import BlendedPolicy, LoggingPolicy, logging_policies
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.train import train
from irecgan.worlds.mdp import MDPWorld, draw_world

ONE_LAYER = {"cell": "gru", "layers": 1}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "pg": ("pg", {}),
    "ordered": ("slate", {"slate_likelihood": "ordered"}),
    "set": ("slate", {"slate_likelihood": "set"}),
    "pg, one GRU layer": ("pg", ONE_LAYER),
    "ordered, one GRU layer": ("slate", {"slate_likelihood": "ordered", **ONE_LAYER}),
    "set, one GRU layer": ("slate", {"slate_likelihood": "set", **ONE_LAYER}),
}
REFERENCE = "pg"


def logging_policy(world: MDPWorld, name: str) -> LoggingPolicy:
    """A policy by its name; ``max:0.2`` shows the slate of max with chance .2, and else random items."""
    name, _, share = name.partition(":")
    policies = logging_policies(world)
    return BlendedPolicy(policies[name], policies["random"], float(share)) if share else policies[name]


def worth(world: MDPWorld, log: SessionLog, variant: str, args: argparse.Namespace, seed: int) -> float:
    """The cumulative reward of a variant."""
    recipe, settings = VARIANTS[variant]
    config = TrainingConfig.checked({**PRESETS["small"], **settings})
    with tempfile.TemporaryDirectory() as folder:
        run = train(log, recipe=recipe, out=Path(folder) / "run", seed=seed, settings=config)
    policy = run.in_world(world.catalogue_size, slate_size=world.slate_size)
    return play(policy, world, args.evaluation_sessions, Streams(seed).child("evaluate")).cumulative_reward.mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laws", default="dirichlet:0.02,softmax", help="transition laws, with commas")
    parser.add_argument("--logs", default="mix,max,random", help="logging policies, with commas")
    parser.add_argument("--seeds", type=int, default=5, help="worlds of each law, with a log of each policy")
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--evaluation-sessions", type=int, default=8_000)
    parser.add_argument("--variants", default=";".join(VARIANTS), help="with semicolons")
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names, rows, comparisons = args.variants.split(";"), [], []
    print("| world, log | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|", sep="\n")
    for law in args.laws.split(","):
        for policy in args.logs.split(","):
            found: dict[str, list[float]] = {name: [] for name in names}
            for seed in range(args.seeds):
                world = draw_world(law, seed=seed)
                streams = Streams(seed).child("simulate")
                log = simulated_log(
                    logging_policy(world, policy), world, args.sessions, max_length=1_000, streams=streams
                )
                for name in names:
                    found[name].append(worth(world, log, name, args, seed))
            rows.append({"law": law, "log": policy, "rewards": found})
            print(f"| {law}, {policy} | " + " | ".join(f"{over_seeds(v).mean:.2f}" for v in found.values()) + " |")
            for name in names:
                if name != REFERENCE and REFERENCE in names:
                    gain = [a - b for a, b in zip(found[name], found[REFERENCE], strict=True)]
                    comparisons.append(Comparison(f"{name} beats {REFERENCE}", f"{law}, {policy}", gain, 0.03))
    tests = [test for judged in judge(comparisons) for test in judged.tests]
    for test in tests:
        c = test.comparison
        print(f"{c.claim}; {c.label}: {test}")
    if args.out:
        write_json(args.out, {"cells": rows, "tests": [test.to_json() for test in tests]})


if __name__ == "__main__":
    main()
