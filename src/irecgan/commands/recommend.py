"""``irecgan recommend``: ask a trained policy for a slate."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from irecgan.commands.interface import Output, add_device
from irecgan.commands.workers import add_workers, chosen_executor
from irecgan.data.catalogue import Catalogue, ItemId
from irecgan.errors import UserError
from irecgan.runs.many import recommend_file
from irecgan.runs.open_sessions import rerank_file
from irecgan.runs.trained import Recommendation, load_policy

HELP = """Ask a trained policy for a slate after a history of clicks, or for the order of given candidates; or for the
slates after many histories (--histories FILE --out FILE), or for the order of the last lists of sessions under way
(--sessions LOG --out FILE). Probabilities are the chances that the policy draws an item
first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="a run directory")
    add("--history", default="", metavar="ID,ID,...", help="items clicked so far, oldest first (default: none)")
    add("-k", type=int, metavar="K", help="items to recommend (default: the run's slate size, or all candidates)")
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
    return _one(args) if args.histories is None else _many(args)


def _one(args: argparse.Namespace) -> Output:
    """Recommend after one history."""
    if args.out is not None:
        raise UserError("--out: found without --histories or --sessions; expected one of them, or no --out")
    for option in ("workers", "ray"):
        if getattr(args, option) is not None:
            raise UserError(f"--{option}: found without --histories; expected both or neither")
    policy = load_policy(args.run, args.device)
    history = _ids("--history", args.history, policy.catalogue) if args.history else []
    candidates = None if args.candidates is None else _ids("--candidates", args.candidates, policy.catalogue)
    context = _context(args.context)
    if candidates is None:
        answer = policy.recommend(history, args.k, context)
    else:
        answer = policy.rerank(history, candidates, context, ranked=not args.without_rank).first(args.k)
    fields = {
        "items": answer.items,
        "probabilities": answer.probabilities,
        "history": history,
        "unknown_history": _unknown(history, policy.catalogue),
    }
    if candidates is not None:
        fields["unknown_candidates"] = _unknown(candidates, policy.catalogue)
    return Output("\n".join(_lines(answer, fields)), fields)


def _lines(answer: Recommendation, fields: Mapping[str, Any]) -> Iterator[str]:
    """The ``answer`` as a table, and what its ``fields`` say of ids that are not known."""
    width = max(len("item"), *(len(str(item)) for item in answer.items))
    yield f"rank  {'item':{width}}  probability"
    for rank, (item, p) in enumerate(zip(answer.items, answer.probabilities, strict=True), start=1):
        yield f"{rank:>4}  {item!s:{width}}  {p:>11.4f}"
    if unknown := fields["unknown_history"]:
        yield f"not in the catalogue, taken as clicks on an unknown item: {', '.join(map(str, unknown))}"
    if unknown := fields.get("unknown_candidates"):
        yield f"candidates that are not in the catalogue: {', '.join(map(str, unknown))}"


def _sessions(args: argparse.Namespace) -> Output:
    """Rank the last lists of a log."""
    _check_files(args, "sessions", ("history", "histories", "candidates", "k", "context", "workers", "ray"))
    policy = load_policy(args.run, args.device)
    ranked = rerank_file(policy, args.sessions, args.out, ranked=not args.without_rank)
    return Output(f"{args.out}: the last lists of {ranked} sessions", {"out": str(args.out), "sessions": ranked})


def _check_files(args: argparse.Namespace, option: str, others: Sequence[str]) -> None:
    """Raise UserError unless the file of ``option`` has another one to write to, and none of ``others`` is given."""
    if args.out is None:
        raise UserError(f"--{option}: found without --out; expected the name of the Parquet file to write")
    for other in others:
        if getattr(args, other) not in ("", None, []):
            dashes = "-" if len(other) == 1 else "--"
            raise UserError(f"--{option}: found together with {dashes}{other}; expected one of them")
    if args.out.resolve() == getattr(args, option).resolve():
        raise UserError(f"--out {args.out}: found the file of {option}, expected another one")


def _many(args: argparse.Namespace) -> Output:
    """Recommend after every history of a file."""
    _check_files(args, "histories", ("history", "candidates"))
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
    return [int(part) if part.removeprefix("-").isdecimal() and str(int(part)) == part else part for part in parts]


def _unknown(ids: Sequence[ItemId], catalogue: Catalogue) -> list[ItemId]:
    """Those of ``ids`` that are not in the ``catalogue``."""
    known = catalogue.index_any(ids) < len(catalogue)
    return [item for item, is_known in zip(ids, known.tolist(), strict=True) if not is_known]
