"""``irecgan recommend``: ask a trained policy for a slate."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from irecgan.commands.interface import Output, add_device
from irecgan.commands.workers import add_workers, chosen_executor
from irecgan.data.catalogue import Catalogue, ItemId
from irecgan.errors import UserError
from irecgan.runs.many import recommend_file
from irecgan.runs.open_sessions import rerank_file
from irecgan.runs.trained import load_policy

HELP = """Ask a trained policy for a slate after a history of clicks, or for the order of given candidates; or for the
slates after many histories (--histories FILE --out FILE), or for the order of the last lists of sessions under way
(--sessions LOG --out FILE). Probabilities are the chances that the policy draws an item
first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a run directory")
    add("--history", default="", metavar="ID,ID,...", help="items clicked so far, oldest first (default: none)")
    add("-k", type=int, metavar="K", help="items to recommend (default: the run's slate size)")
    add("--candidates", metavar="ID,ID,...", help="rank these items instead of the catalogue")
    add(
        "--without-rank",
        action="store_true",
        help="do not read the order of the candidates as that of the ranker that made the log",
    )
    add("--histories", type=Path, metavar="FILE", help="many histories: Parquet, CSV or JSON lines, column 'history'")
    add(
        "--sessions",
        type=Path,
        metavar="LOG",
        help="sessions so far, as a log: the last list of each, without a click, is ranked by all that came before it",
    )
    add("--out", type=Path, metavar="FILE", help="Parquet file to write, with the columns 'items' and 'probabilities'")
    add_workers(parser)
    add_device(parser)
    add(
        "--context",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="the value of a context column the run reads, at all steps; may be repeated (default: missing)",
    )


def run(args: argparse.Namespace) -> Output:
    """Recommend."""
    if args.without_rank and args.candidates is None and args.sessions is None:
        raise UserError("--without-rank: expected with --candidates or --sessions; nothing else has an order to read")
    if args.sessions is not None:
        return _sessions(args)
    if args.histories is not None:
        return _many(args)
    for option in ("out", "workers", "ray"):
        if getattr(args, option) is not None:
            raise UserError(f"--{option}: found without --histories; expected both or neither")
    policy = load_policy(args.run, args.device)
    history = _ids("--history", args.history, policy.catalogue) if args.history else []
    candidates = None if args.candidates is None else _ids("--candidates", args.candidates, policy.catalogue)
    context = _context(args.context)
    if candidates is None:
        answer = policy.recommend(history, args.k, context)
    elif args.k is not None:
        raise UserError("-k: found together with --candidates, expected one or the other")
    else:
        answer = policy.rerank(history, candidates, context, ranked=not args.without_rank)
    unknown, strange = (_unknown(ids, policy.catalogue) for ids in (history, candidates or []))
    width = max(len("item"), *(len(str(item)) for item in answer.items))
    lines = [f"rank  {'item':{width}}  probability"]
    for rank, (item, p) in enumerate(zip(answer.items, answer.probabilities, strict=True), start=1):
        lines.append(f"{rank:>4}  {item!s:{width}}  {p:>11.4f}")
    if unknown:
        lines.append(f"not in the catalogue, taken as clicks on an unknown item: {', '.join(map(str, unknown))}")
    if strange:
        lines.append(f"candidates that are not in the catalogue: {', '.join(map(str, strange))}")
    fields = {
        "items": answer.items,
        "probabilities": answer.probabilities,
        "history": history,
        "unknown_history": unknown,
    }
    if candidates is not None:
        fields["unknown_candidates"] = strange
    return Output("\n".join(lines), fields)


def _sessions(args: argparse.Namespace) -> Output:
    """Rank the last lists of a log."""
    beside = ("history", "histories", "candidates", "k", "context", "workers", "ray")
    _check_files(args, "sessions", [option for option in beside if getattr(args, option) not in ("", None, [])])
    policy = load_policy(args.run, args.device)
    ranked = rerank_file(policy, args.sessions, args.out, ranked=not args.without_rank)
    return Output(f"{args.out}: the last lists of {ranked} sessions", {"out": str(args.out), "sessions": ranked})


def _check_files(args: argparse.Namespace, option: str, beside: Sequence[str]) -> None:
    """Raise UserError unless the file of ``option`` has another one to write to, and no options ``beside`` it."""
    if args.out is None:
        raise UserError(f"--{option}: found without --out; expected the name of the Parquet file to write")
    if beside:
        raise UserError(
            f"--{option}: found together with {'-' if len(beside[0]) == 1 else '--'}{beside[0]}; expected one of them"
        )
    if args.out.resolve() == getattr(args, option).resolve():
        raise UserError(f"--out {args.out}: found the file of {option}, expected another one")


def _many(args: argparse.Namespace) -> Output:
    """Recommend after every history of a file."""
    _check_files(args, "histories", [o for o in ("history", "candidates") if getattr(args, o) not in ("", None)])
    if args.workers is None and args.ray is None and args.device != "cpu":
        args.workers = 1  # one process fills a GPU
    executor = chosen_executor(args, gpus=float(args.device == "cuda"))
    context = _context(args.context)
    found = recommend_file(args.run, args.histories, args.out, executor, k=args.k, context=context, device=args.device)
    text = f"{args.out}: recommendations after {found.histories} histories"
    if found.unknown_clicks:
        text += f"\nnot in the catalogue, taken as clicks on an unknown item: {found.unknown_clicks} clicks"
    return Output(text, {"out": str(args.out), **asdict(found)})


def _context(pairs: list[str]) -> dict[str, str]:
    values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(values) < len(pairs):
        raise UserError(f"--context: found {' '.join(pairs)!r}, expected column=value, each column once")
    for pair in pairs:
        _expect_text("--context", pair)
    return values


def _expect_text(option: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{option}: found {text!r}, expected text in UTF-8") from None


def _ids(option: str, text: str, catalogue: Catalogue) -> list[ItemId]:
    """The ids in ``text``; integers where those of the ``catalogue`` are."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UserError(f"{option}: found an empty item id in {text!r}, expected ids with a comma between them")
    _expect_text(option, text)
    if not catalogue.items.dtype.is_integer():
        return list(parts)
    return [int(part) if part.isdecimal() and str(int(part)) == part else part for part in parts]


def _unknown(ids: Sequence[ItemId], catalogue: Catalogue) -> list[ItemId]:
    """Those of ``ids`` that are not in the ``catalogue``."""
    known = catalogue.index_any(ids) < len(catalogue)
    return [item for item, is_known in zip(ids, known.tolist(), strict=True) if not is_known]
