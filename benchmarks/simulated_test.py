"""The simulated online test (7.1) over several worlds: what each recipe is worth under each logging policy.

Every world has its own log of each policy and its own seed; all policies of a world meet the same draws.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.evaluation.evaluate import OnlineEvaluation, evaluate
from irecgan.files import write_json
from irecgan.models.agent import Agent
from irecgan.models.user import RecurrentUserModel
from irecgan.policies.logging import logging_policies
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import rollout
from irecgan.runs.store import load_run
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.training.config import TrainingConfig
from irecgan.training.train import train
from irecgan.worlds.learned import LearnedWorld
from irecgan.worlds.mdp import MDPWorld, draw_world


def logged(world: MDPWorld, name: str, sessions: int, seed: int) -> SessionLog:
    """A log of the policy called ``name``."""
    streams = Streams(seed).child("simulate")
    return simulated_log(logging_policies(world)[name], world, sessions, max_length=1_000, streams=streams, name=name)


def generated_clicks(run: Path, log: SessionLog, sessions: int = 5_000) -> float | None:
    """Clicks per session of a run's agent among its own learned users; None if it has not both."""
    found = load_run(run)
    agent, user = found.networks.get("agent"), found.networks.get("user")
    if not isinstance(agent, Agent) or not isinstance(user, RecurrentUserModel):
        return None
    policy = RankingPolicy(agent, found.slate_size, sampled=True)
    longest = int(encode(log, found.catalogue).steps.max())
    generator = Streams(0).torch("lengths")
    batch = rollout(policy, LearnedWorld(user), sessions, max_length=longest, generator=generator)
    return float(batch.clicked.sum(1).float().mean())


def measured(args: argparse.Namespace, law: str, policy: str, seed: int) -> dict[str, Any]:
    """Every recipe on one log, beside the references of its world."""
    world = draw_world(law, seed=seed)
    log = logged(world, policy, args.sessions, seed)
    config = TrainingConfig.parse(args.settings, args.preset)
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / recipe for recipe in args.recipes.split(",")]
        for run in runs:
            train(log, recipe=run.name, out=run, seed=seed, settings=config)
        found = evaluate(runs, world=world, baselines=True, sessions=args.evaluation_sessions, seed=seed)
        generated = {run.name: clicks for run in runs if (clicks := generated_clicks(run, log)) is not None}
    if not isinstance(found, OnlineEvaluation):
        raise TypeError("an evaluation in a world is online")
    return {
        "law": law,
        "log": policy,
        "seed": seed,
        "logged_clicks": float(log.frame["click"].count() / log.sessions),
        "generated_clicks": generated,
        **found.to_json(),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Means over seeds of the cumulative reward, in Markdown; the standard deviation over worlds beside it."""
    names = list(results[0]["runs"])
    lines = ["| world, log | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for law, log in dict.fromkeys((r["law"], r["log"]) for r in results):
        cells = []
        for name in names:
            rewards = [
                r["runs"][name]["cumulative_reward"]["mean"] for r in results if (r["law"], r["log"]) == (law, log)
            ]
            cells.append(f"{mean(rewards):.2f}" + (f" ± {stdev(rewards):.2f}" if len(rewards) > 1 else ""))
        lines.append(f"| {law}, {log} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def lengths(results: list[dict[str, Any]]) -> str:
    """Clicks per session: of the log, expected of new sessions of its policy, and generated."""
    lines = []
    for r in results:
        exact = r["runs"][r["log"]]["cumulative_reward"]["mean"]
        made = ", ".join(
            f"{name} {clicks:.2f} ({clicks / exact - 1:+.1%})" for name, clicks in r["generated_clicks"].items()
        )
        lines.append(
            f"{r['law']}, {r['log']}, {r['seed']}: logged {r['logged_clicks']:.2f}, expected {exact:.2f}; {made}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laws", default="softmax", help="transition laws, with commas")
    parser.add_argument("--logs", default="max,mix,random", help="logging policies, with commas")
    parser.add_argument("--recipes", default="lstm,pg,irecgan", help="with commas")
    parser.add_argument("--seeds", default="0,1,2", help="one world each, with commas")
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--evaluation-sessions", type=int, default=20_000, help="played per policy")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = []
    for law in args.laws.split(","):
        for log in args.logs.split(","):
            for seed in map(int, args.seeds.split(",")):
                results.append(measured(args, law, log, seed))
                rewards = {n: round(r["cumulative_reward"]["mean"], 2) for n, r in results[-1]["runs"].items()}
                print(law, log, seed, json.dumps(rewards), flush=True)
    if args.out:
        write_json(args.out, results)
    print(table(results))
    print(lengths(results))


if __name__ == "__main__":
    main()
