"""``irecgan demo``: the whole path in a few minutes."""

import argparse
from pathlib import Path

from irecgan.commands.interface import Output
from irecgan.errors import UserError
from irecgan.experiments.demo.demo import run_demo
from irecgan.training.config import TrainingConfig

HELP = """Make a world, log sessions of the mix policy, train lstm, pg and irecgan on them (small preset), and
measure them in the true world beside its ceilings. Writes an HTML report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="the directory to make")
    add("--sessions", type=int, default=1_000, metavar="N", help="to log (default: 1000)")
    add("--evaluation-sessions", type=int, default=20_000, metavar="N", help="to play per policy (default: 20000)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="change a training setting")
    add("--seed", type=int, default=0, metavar="S", help="of all that is random (default: 0)")


def run(args: argparse.Namespace) -> Output:
    """Run the demo."""
    for option, value in (("--sessions", args.sessions), ("--evaluation-sessions", args.evaluation_sessions)):
        if value < 10:
            raise UserError(f"{option}: found {value}, expected at least 10")
    found = run_demo(
        args.out,
        sessions=args.sessions,
        evaluation_sessions=args.evaluation_sessions,
        seed=args.seed,
        config=TrainingConfig.parse(args.settings, preset="small"),
    )
    fields = {**found.evaluation.to_json(), "report": str(found.report)}
    return Output(f"{found.evaluation.table()}\nreport: {found.report}", fields)
