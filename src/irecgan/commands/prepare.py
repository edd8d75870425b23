"""``irecgan prepare``: from raw files to a validated, filtered and split log."""

import argparse
from pathlib import Path

from irecgan.commands.interface import Output
from irecgan.data.filters import Counts, Filter, NeverClicked, SessionLength, TopItems
from irecgan.data.prepare import Preparation, prepare
from irecgan.data.sources.registry import SOURCES
from irecgan.data.splits import SPLITS, Shares
from irecgan.errors import UserError
from irecgan.tables import aligned

HELP = """Read raw logs, validate, filter and split them. Writes train, validation and test parts, the items, and
prepare.json, in which every row read is accounted for. Filters are applied in the order of the options below;
clicks outside their slate and repeats in a slate are always filtered. Without such an option cikm2016 is filtered
as in the paper: the 40,000 most clicked items, sessions of 2 to 40 clicks; its counts are printed beside the
paper's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="format of the files: " + ", ".join(SOURCES))
    add("paths", type=Path, nargs="+", metavar="PATH", help="files, or directories where the format has them")
    add("--out", type=Path, required=True, metavar="DIR", help="the directory to make")
    add("--split", default="random", metavar="|".join(SPLITS), help="how sessions become parts (default: random)")
    add("--shares", metavar="A,B,C", help="of sessions in the parts (default: 0.8,0.1,0.1; cikm2016: the paper's)")
    add(
        "--items",
        type=Path,
        metavar="FILE",
        help="columns of items: item_id and any others, one row an item, for train --set item_features=...",
    )
    add("--top-items", type=int, metavar="N", help="keep the N most clicked items")
    add("--drop-never-clicked", action="store_true", help="drop items that nobody clicked from the slates")
    add("--min-clicks", type=int, metavar="N", help="drop sessions of fewer clicks")
    add("--max-clicks", type=int, metavar="N", help="drop sessions of more clicks")
    add(
        "--user-history",
        action="store_true",
        help="tell each step what of its slate the user clicked or touched in earlier sessions (touched_by_user), by "
        "user_id and timestamp, unless the log has that column",
    )
    add("--seed", type=int, default=0, metavar="S", help="of the split (default: 0)")


def run(args: argparse.Namespace) -> Output:
    """Prepare, and say what was read, kept and dropped."""
    report = prepare(
        args.source,
        args.paths,
        args.out,
        split=args.split,
        seed=args.seed,
        filters=_filters(args),
        shares=None if args.shares is None else _shares(args.shares),
        items=args.items,
        user_history=args.user_history,
    )
    return Output(f"{args.out}\n{_text(report)}", {"out": str(args.out), **report.to_json()})


def _shares(text: str) -> Shares:
    try:
        train, validation, test = map(float, text.split(","))
    except ValueError:
        train = validation = test = 0.0
    if not all(0 < share < float("inf") for share in (train, validation, test)):
        raise UserError(f"--shares: found {text!r}, expected three positive numbers with commas between them")
    return train, validation, test


def _filters(args: argparse.Namespace) -> list[Filter]:
    filters: list[Filter] = []
    if args.top_items is not None:
        filters.append(TopItems(args.top_items))
    if args.drop_never_clicked:
        filters.append(NeverClicked())
    if args.max_clicks is not None and args.max_clicks < 1:
        raise UserError(f"--max-clicks: found {args.max_clicks}, expected at least 1")
    if args.min_clicks is not None or args.max_clicks is not None:
        filters.append(SessionLength(args.min_clicks or 0, args.max_clicks))
    return filters


def _text(report: Preparation) -> str:
    lines = [f"read: {report.rows} rows, {report.steps} of them steps"]
    lines += [f"  left out: {count} rows, {reason}" for reason, count in report.left_out.items() if count]
    for record in report.records:
        dropped = [
            f"{before - after} {what}"
            for what, before, after in (
                ("sessions", record.before.sessions, record.after.sessions),
                ("steps", record.before.steps, record.after.steps),
                ("slate entries", record.before.shown, record.after.shown),
            )
        ]
        lines.append(f"filter {record.name}: dropped {', '.join(dropped)} ({record.reason})")
    lines += [_parts(report), f"split: {report.split}; items in the train part: {report.catalogue}"]
    if (items := report.items) is not None:
        lines.append(
            f"columns of {items.told} items: {', '.join(items.columns)}; of {items.without} items in the train part "
            f"nothing is told, {items.new} others are new"
        )
    return "\n".join(lines)


def _parts(report: Preparation) -> str:
    heads = ["part", "sessions", "steps", "clicks", "items", "clicks a session", "rewarded"]
    rows = [[n, *map(str, (c.sessions, c.steps, c.clicks, c.items)), *_means(c)] for n, c in report.parts.items()]
    published = SOURCES[report.source].published
    if published is None:
        return aligned([heads, *rows])
    told = zip(rows, published.sessions, published.clicks, published.rewarded, strict=True)
    beside = [[*row, str(sessions), f"{clicks:.2f}", f"{share:.2%}"] for row, sessions, clicks, share in told]
    return f"{aligned([[*heads, 'sessions*', 'clicks*', 'rewarded*'], *beside])}\n* in {published.source}"


def _means(counts: Counts) -> tuple[str, str]:
    return f"{counts.clicks / counts.sessions:.2f}", f"{counts.rewarded / max(1, counts.clicks):.2%}"
