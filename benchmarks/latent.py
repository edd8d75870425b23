"""Users with a hidden state in other worlds than the paper's: seconds to fit, states found, share of the ceiling.

    python benchmarks/latent.py --out latent.json                                        # 24 worlds, 1,000 sessions
    python benchmarks/latent.py --out latent.json --sessions 10000 --states 10 --items 50 --slate-sizes 10

Seconds are those of a processor, with one thread. The ceiling, ``belief``, knows the world and sees only clicks. A
planner who knows only what the log shows, but that exactly, stands beside it: of items that the logging policy never
shows in a state it knows the mean. Cells that ``--out`` has already are not measured again; the table has all of them.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

import torch

from irecgan.evaluation.online import play
from irecgan.files import write_json
from irecgan.models.latent import LatentTables, LatentUserModel
from irecgan.policies.belief import BeliefPolicy
from irecgan.policies.interface import Policy
from irecgan.policies.latent import plan_slates
from irecgan.policies.logging import LoggingPolicy, logging_policies
from irecgan.runs.store import load_run
from irecgan.runs.trained import load_policy
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.tables import aligned
from irecgan.training.config import TrainingConfig
from irecgan.training.train import train
from irecgan.worlds.mdp import MDPWorld, draw_world
from irecgan.worlds.shown import as_shown

Cell = dict[str, Any]
Made = TypeVar("Made")
WORLD = ("law", "log", "states", "items", "slate_size", "seed")


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """What ``work`` gives, and the seconds of a processor that it took."""
    begin = time.process_time()
    made = work()
    return made, time.process_time() - begin


def worth(policy: Policy[Any], world: MDPWorld, sessions: int) -> float:
    return play(policy, world, sessions, Streams(0).child("evaluate")).cumulative_reward.mean


def references(world: MDPWorld, policy: LoggingPolicy, seed: int, evaluation_sessions: int) -> dict[str, float]:
    """What is earned by who knows the world, and by who knows what the log shows of it."""
    known = {"ceiling": world, "shown": as_shown(world, policy.inclusion(world) > 0)}
    return {
        name: worth(BeliefPolicy(model, Streams(seed).torch("belief")), world, evaluation_sessions)
        for name, model in known.items()
    }


def measured(key: Cell, known: dict[tuple[Any, ...], dict[str, float]], evaluation_sessions: int) -> Cell:
    """One fit, beside what is earned by who knows its world."""
    seed, size = key["seed"], key["slate_size"]
    world = draw_world(key["law"], key["states"], key["items"], size, seed=seed)
    streams = Streams(seed).child("simulate")
    logging_policy = logging_policies(world)[key["log"]]
    log = simulated_log(logging_policy, world, key["sessions"], max_length=1_000, streams=streams)
    config = TrainingConfig.parse([], "small")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "latent"
        _, whole = timed(lambda: train(log, recipe="latent", out=run, seed=seed, settings=config))
        policy = load_policy(run).in_world(world.catalogue_size, slate_size=size)
        reward = worth(policy, world, evaluation_sessions)
        tables = fitted_tables(run)
    generator = Streams(seed).torch("plan")
    _, planning = timed(lambda: plan_slates(tables, size, generator, reward_weight=config.lambda_r))
    place = tuple(key[name] for name in WORLD)
    if place not in known:
        known[place] = references(world, logging_policy, seed, evaluation_sessions)
    return {
        **key,
        "train_seconds": whole,
        "plan_seconds": planning,  # done once more, by itself
        "states_found": tables.states,
        "kinds_found": len(tables.kind_base),
        "reward": reward,
        **known[place],
    }


def fitted_tables(run: Path) -> LatentTables:
    """The users that a run plans for."""
    network = load_run(run).networks["latent"]
    if not isinstance(network, LatentUserModel):
        raise TypeError("expected a run of the recipe latent")
    return network.tables


def table(cells: list[Cell]) -> str:
    """One row for all seeds of a world and a size of log."""
    heads = ("world", "states", "items", "slate", "sessions", "worlds")
    columns = ("states found", "s to train", "s to plan", "reward", "ceiling", "share", "shown", "share")
    rows = [[*heads, *columns]]
    of = ("law", "states", "items", "slate_size", "sessions")
    for place in dict.fromkeys(tuple(cell[name] for name in of) for cell in cells):
        found = [cell for cell in cells if tuple(cell[name] for name in of) == place]

        def over(name: str, cells: list[Cell] = found) -> float:
            return float(mean(cell[name] for cell in cells))

        figures = [f"{over('train_seconds'):.1f}", f"{over('plan_seconds'):.1f}"]
        figures.append(f"{over('reward'):.2f}")
        for name in ("ceiling", "shown"):
            share = mean(cell["reward"] / cell[name] for cell in found)
            figures += [f"{over(name):.2f}", f"{share:.0%}"]
        states = ", ".join(str(cell["states_found"]) for cell in found)
        rows.append([*map(str, place), str(len(found)), states, *figures])
    return aligned(rows, left=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laws", default="dirichlet:0.02,softmax", help="transition laws, with commas")
    parser.add_argument("--states", default="5,10,20", help="true numbers of states, with commas")
    parser.add_argument("--items", default="50,200", help="with commas")
    parser.add_argument("--slate-sizes", default="5,10", help="with commas")
    parser.add_argument("--sessions", default="1000", help="logged, with commas")
    parser.add_argument("--seeds", default="0", help="one world each, with commas")
    parser.add_argument("--log", default="mix", help="the logging policy")
    parser.add_argument("--evaluation-sessions", type=int, default=8_000)
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cells: list[Cell] = json.loads(args.out.read_text(encoding="utf-8")) if args.out and args.out.exists() else []
    known = {tuple(cell[name] for name in WORLD): {name: cell[name] for name in ("ceiling", "shown")} for cell in cells}
    numbers = [map(int, text.split(",")) for text in (args.seeds, args.sessions, args.states, args.items)]
    sizes = map(int, args.slate_sizes.split(","))
    for seed, sessions, states, items, size, law in itertools.product(*numbers, sizes, args.laws.split(",")):
        key = {"law": law, "log": args.log, "states": states, "items": items, "slate_size": size}
        key |= {"sessions": sessions, "seed": seed}
        if any(key.items() <= cell.items() for cell in cells):
            continue
        cells.append(measured(key, known, args.evaluation_sessions))
        print(json.dumps(cells[-1]), flush=True)
        if args.out:
            write_json(args.out, cells)
    print(table(cells))


if __name__ == "__main__":
    main()
