"""``irecgan evaluate``: what policies are worth, on a log or in a simulated world."""

import argparse
from pathlib import Path

from irecgan.commands.interface import Output, add_device
from irecgan.evaluation.evaluate import evaluate

HELP = """Measure trained policies: how they rerank the lists of a log, or what they earn in a simulated
world or, as rerankers of its lists, in a simulated shop. Intervals are 95 %."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="run directories")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--log", type=Path, metavar="LOG", help="a session log, or a directory made by 'irecgan prepare'"
    )
    where.add_argument("--world", type=Path, metavar="WORLD.json", help="a simulated world")
    add("--baselines", action="store_true", help="naive orders beside them; in a world also ceilings and references")
    add(
        "--without-rank",
        action="store_true",
        help="on a log: further rows of policies that read the shown order, without that",
    )
    add("--sessions", type=int, default=20_000, metavar="N", help="to play in a world, per policy (default: 20000)")
    add(
        "--min-candidates",
        type=int,
        metavar="N",
        help="leave out steps of a log with fewer items (default: 10, the official rule; 2 where no list has so many)",
    )
    add("--seed", type=int, default=0, metavar="S", help="of sessions, bootstrap and random orders (default: 0)")
    add_device(parser)


def run(args: argparse.Namespace) -> Output:
    """Evaluate."""
    result = evaluate(
        args.runs,
        log=args.log,
        world=args.world,
        baselines=args.baselines,
        without_rank=args.without_rank,
        sessions=args.sessions,
        min_candidates=args.min_candidates,
        seed=args.seed,
        device=args.device,
    )
    return Output(result.table(), result.to_json())
