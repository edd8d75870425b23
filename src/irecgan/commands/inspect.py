"""``irecgan inspect``: a session log at a glance."""

import argparse
from pathlib import Path

from irecgan.commands.interface import Output
from irecgan.data.inspection import Inspection, Spread, inspect_log
from irecgan.data.location import find_prepared
from irecgan.data.log import SessionLog
from irecgan.tables import aligned

HELP = """Describe a session log, or the parts of a prepared directory: counts, lengths, shares of clicks and
rewards, popular items, and what may surprise a training."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("log", type=Path, metavar="LOG", help="a session log, or a directory made by 'irecgan prepare'")


def run(args: argparse.Namespace) -> Output:
    """Inspect."""
    prepared = find_prepared(args.log)
    if prepared is None:
        inspection = inspect_log(SessionLog.read(args.log))
        return Output(_text(inspection), inspection.to_json())
    paths = (prepared.train, prepared.validation, prepared.test)
    parts = {path.stem: inspect_log(SessionLog.read(path)) for path in paths}
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
