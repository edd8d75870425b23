"""``irecgan train``: learn a policy from a session log."""

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

from irecgan.commands.interface import Output, add_device
from irecgan.commands.workers import add_ray, check_workers, cluster
from irecgan.errors import UserError
from irecgan.runs.manifest import Manifest
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.metrics import best_losses, read_metrics
from irecgan.training.on_ray import RayTraining
from irecgan.training.recipes import RECIPES, find_recipe
from irecgan.training.train import train

HELP = """Learn a policy from a session log and write it, with its items, weights and metrics, to a run
directory. A training that was interrupted goes on with --resume and ends with the same weights."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("log", type=Path, metavar="LOG", help="a session log, or a directory made by 'irecgan prepare'")
    recipes = "; ".join(f"{recipe.name}: {recipe.summary}" for recipe in RECIPES.values())
    add("--recipe", required=True, metavar="|".join(RECIPES), help=recipes)
    add("--out", type=Path, required=True, metavar="RUN", help="the run directory to make")
    add(
        "--validation",
        type=Path,
        metavar="LOG",
        help="sessions to stop by (default: those of a prepared directory, or a tenth of LOG)",
    )
    add("--items", type=Path, metavar="FILE", help="columns of items, for item_features (default: beside LOG)")
    add("--seed", type=int, default=0, metavar="S", help="of all that is random (default: 0)")
    add("--preset", default="paper", metavar="|".join(PRESETS), help="settings to start from (default: paper)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="change a setting; may be repeated. Keys: " + ", ".join(TrainingConfig.model_fields),
    )
    add("--resume", action="store_true", help="go on with the interrupted training in RUN")
    add_device(parser)
    add("--workers", type=int, metavar="N", help="with --ray, processes that train together (default: 1)")
    add_ray(parser)


def run(args: argparse.Namespace) -> Output:
    """Train, and say what came of it."""
    begin = time.perf_counter()
    find_recipe(args.recipe)
    config = TrainingConfig.parse(args.settings, args.preset)
    given: dict[str, Any] = {
        "log": args.log,
        "out": args.out,
        "recipe": args.recipe,
        "validation": args.validation,
        "items": args.items,
        "seed": args.seed,
        "settings": config,
        "resume": args.resume,
    }
    if args.ray is not None:
        _on_ray(args, given)
    elif args.workers is not None:
        raise UserError("--workers: found without --ray; expected both, or torchrun (docs/scaling.md)")
    else:
        train(**given, device=args.device)
    return _output(args, time.perf_counter() - begin)


def _on_ray(args: argparse.Namespace, given: dict[str, Any]) -> None:
    """Train in workers of Ray Train, which find files by their full names."""
    check_workers(args.workers)
    full: dict[str, Any] = {key: value.absolute() if isinstance(value, Path) else value for key, value in given.items()}
    RayTraining(cluster(args), args.workers or 1, args.device).run(**full)


def _output(args: argparse.Namespace, seconds: float) -> Output:
    units = Counter(str(line["phase"]) for line in read_metrics(args.out))
    phases: dict[str, dict[str, Any]] = {name: {"units": count} for name, count in units.items()}
    for name, loss in best_losses(args.out).items():
        phases[name]["best_validation"] = loss
    text = [f"{args.out}: {args.recipe}, {seconds:.1f} s"]
    for name, phase in phases.items():
        best = f", best validation loss {phase['best_validation']:.4f}" if "best_validation" in phase else ""
        text.append(f"  {name}: {phase['units']} {'rounds' if name == 'rounds' else 'epochs'}{best}")
    fields = {"run": str(args.out), "recipe": args.recipe, "seed": args.seed, "seconds": seconds, "phases": phases}
    if (decision := Manifest.read(args.out).decision) is not None:
        text.append(f"  {decision.reason}; learned by {decision.learned}")
        fields["decision"] = decision.model_dump()
    return Output("\n".join(text), fields)
