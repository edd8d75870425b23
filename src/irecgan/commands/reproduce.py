"""``irecgan reproduce``: the experiments of the paper, and one beyond it."""

import argparse
import json
from pathlib import Path

from irecgan.commands.interface import Output
from irecgan.commands.workers import add_workers, chosen_executor
from irecgan.errors import UserError
from irecgan.experiments.frame.study import REPORT, run_study
from irecgan.experiments.registry import EXPERIMENTS, find_experiment

HELP = """Run an experiment of the paper, or the one beyond it, and write its cells, results.json and report.html. The
same command goes on with an experiment that was interrupted. 'quick' takes up to 15 minutes on 2 cores and is small;
'paper' is the full grid; 'goals', of beyond alone, is its worlds for which goals were set."""

_OPTIONS = {"logs": "--log", "worlds": "--world", "models": "--models", "seeds": "--seeds"}
"""Options that are settings, which have names of their own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    experiments = "; ".join(f"{found.name}: {found.summary}" for found in EXPERIMENTS.values())
    add("experiment", metavar="|".join(EXPERIMENTS), help=experiments)
    add("--preset", default="quick", metavar="quick|paper|goals", help="how much of it (default: quick)")
    add("--out", type=Path, required=True, metavar="DIR", help="the directory to make, or to go on with")
    add("--log", type=Path, action="append", metavar="DIR", help="a prepared log; may be repeated (table1, beyond)")
    add("--world", type=Path, action="append", metavar="WORLD.json", help="a world of 'simulate'; may repeat (beyond)")
    add("--models", metavar="NAME,NAME,...", help="recipes to train (default: all of the preset)")
    add("--seeds", type=int, metavar="N", help="seeds, or repeats (default: the preset's)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a setting of the preset (as in study.json; values are JSON or text); may be repeated",
    )
    add_workers(parser)


def run(args: argparse.Namespace) -> Output:
    """Run, or go on."""
    experiment = find_experiment(args.experiment)
    executor = chosen_executor(args)
    given = _given(args)
    settings = experiment.preset(args.preset).changed(
        {**dict(map(_setting, args.settings)), **given}, {key: _OPTIONS[key] for key in given}
    )
    conclusion = run_study(experiment, settings, args.out, executor)
    report = args.out / REPORT
    return Output(f"{conclusion.text}\nreport: {report}", {**conclusion.json, "report": str(report)})


def _given(args: argparse.Namespace) -> dict[str, object]:
    """The settings that the options of `_OPTIONS` change."""
    given: dict[str, object] = {}
    if args.log:
        given["logs"] = tuple(str(path.resolve()) for path in args.log)
    if args.world:
        given["worlds"] = tuple(str(path.resolve()) for path in args.world)
    if args.models is not None:
        given["models"] = tuple(name.strip() for name in args.models.split(","))
    if args.seeds is not None:
        given["seeds"] = args.seeds
    return given


def _setting(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: expected key=value")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
