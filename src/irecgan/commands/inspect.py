"""``irecgan inspect``: a session log, or a run, at a glance."""

import argparse
from pathlib import Path

from irecgan.commands.interface import Output
from irecgan.data.inspection import Inspection, Spread, inspect_log
from irecgan.data.location import find_prepared
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.models.contrasts import VAGUE, Weight
from irecgan.runs.inspection import RunInspection, inspect_run
from irecgan.runs.manifest import BEGUN, MANIFEST
from irecgan.tables import aligned
from irecgan.training.config import TrainingConfig

HELP = """Describe a session log, or the parts of a prepared directory: counts, lengths, shares of clicks and
rewards, popular items, and what may surprise a training; or name all rules that it breaks. Of a run: how it came
about, what it chose and why, and what the terms of its user model say, in words."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "log",
        type=Path,
        metavar="LOG|RUN",
        help="a session log, a directory made by 'irecgan prepare', or a run made by 'irecgan train'",
    )


def run(args: argparse.Namespace) -> Output:
    """Inspect."""
    if (args.log / BEGUN).is_file():
        raise UserError(f"{args.log}: holds a training that is not finished; expected a run, or go on with --resume")
    if (args.log / MANIFEST).is_file():
        found = inspect_run(args.log)
        return Output(_run_text(found), found.to_json())
    prepared = find_prepared(args.log)
    if prepared is None:
        inspection = inspect_log(SessionLog.read(args.log, every=True))
        return Output(_text(inspection), inspection.to_json())
    paths = (prepared.train, prepared.validation, prepared.test)
    parts = {path.stem: inspect_log(SessionLog.read(path, every=True)) for path in paths}
    text = "\n\n".join(_text(inspection) for inspection in parts.values())
    return Output(text, {"parts": {name: inspection.to_json() for name, inspection in parts.items()}})


def _text(found: Inspection) -> str:
    counts = found.counts
    users = f", {found.users} users" if found.users is not None else ""
    ranks = "  ".join(f"{rank}: {share:.1%}" for rank, share in enumerate(found.rank_share, start=1))
    top = "  ".join(f"{item}: {clicks}" for item, clicks in found.top_items)
    spreads = aligned(
        [
            ["", "mean", "min", "median", "95 %", "max"],
            _spread("clicks a session", found.session_clicks),
            _spread("items a slate", found.slate_size),
        ]
    )
    lines = [
        f"{found.name}: {counts.sessions} sessions, {counts.steps} steps, {counts.clicks} clicks{users}",
        f"items: {counts.items} shown, {found.clicked_items} clicked; "
        f"the most clicked tenth takes {found.head_share:.1%} of the clicks",
        spreads,
        f"steps with a click: {found.click_share:.1%}; clicks with a reward: {found.reward_share:.1%}, "
        f"mean {found.reward_mean:.3f}",
        f"clicks by shown rank: {ranks}",
        f"clicks by item: {top}",
        *(f"note: {problem}" for problem in found.problems),
    ]
    return "\n".join(lines)


def _spread(name: str, spread: Spread) -> list[str]:
    return [name, f"{spread.mean:.2f}", f"{spread.least}", f"{spread.median:g}", f"{spread.p95:g}", f"{spread.most}"]


def _run_text(found: RunInspection) -> str:
    manifest = found.manifest
    origin, size = manifest.origin, manifest.size
    plain = TrainingConfig().model_dump(mode="json")
    settings = [f"{key}={_setting(value)}" for key, value in origin.settings.items() if value != plain.get(key)]
    sizes = ", ".join(f"{name} {count:,}" for name, count in found.parameters.items())
    lines = [
        f"{found.name}: recipe {origin.recipe}, seed {origin.seed}, irecgan {manifest.irecgan}; "
        f"on {origin.device} by {origin.processes} process{'es' * (origin.processes > 1)}",
        f"log: sha256 {origin.log[:16]}, {size.items} items; slates of {manifest.slate_size}",
        f"settings beside the defaults: {' '.join(settings) or 'none'}",
        f"ranks by: the {manifest.deploys} model; parameters: {sizes or 'none'}",
        *([f"reads the columns {', '.join(found.columns)}"] if found.columns else []),
        *_decision(found),
        *_terms(found),
    ]
    return "\n".join(lines)


def _decision(found: RunInspection) -> list[str]:
    decision = found.manifest.decision
    if decision is None:
        return []
    told = [f"learned: {decision.learned}, because {decision.reason}"]
    if decision.candidates:
        rows = [
            [c.name, *("" if x is None else f"{x:.3f}" for x in (c.estimate, c.error, c.off_policy)), c.note]
            for c in decision.candidates
        ]
        told.append(aligned([["candidate", "estimate", "error", "off-policy", "note"], *rows], left=True))
    return told


def _terms(found: RunInspection) -> list[str]:
    if not found.weights:
        return []
    known = [weight for weight in found.weights if weight.error < VAGUE]
    said = [contrast for contrast in found.contrasts if contrast.known]
    left_out = len(found.weights) - len(known), len(found.contrasts) - len(said)
    return [
        "",
        "what the terms of the user model say, all else equal:",
        *(f"  {contrast}" for contrast in said),
        "  (rank is where the log's ranker put an item: how far people look, and what that ranker knew)",
        "",
        aligned([["term", "feature", "level", "against", "weight", "95 %"], *map(_weight, known)], left=True),
        f"left out, as the log says too little: {left_out[0]} weights, {left_out[1]} comparisons; --json has them",
    ]


def _weight(weight: Weight) -> list[str]:
    interval = f"[{weight.low:+.3f}, {weight.high:+.3f}]"
    return [weight.term, weight.feature, weight.level or "", weight.against or "", f"{weight.value:+.3f}", interval]


def _setting(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
