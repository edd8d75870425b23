"""The command line: parse and call, nothing else."""

import argparse
import importlib
import io
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn, cast

import irecgan
from irecgan.commands.interface import Command, speaks
from irecgan.ending import Terminated, ending_when_terminated, signals_wait
from irecgan.errors import UserError, out_of_memory

COMMANDS = {
    "simulate": "make a simulated world and log sessions from it",
    "prepare": "turn raw logs into a validated, filtered and split session log",
    "inspect": "describe a session log (counts, lengths, shares, problems) or a run",
    "train": "learn a policy from a session log",
    "evaluate": "measure what policies are worth, on a log or in a simulated world",
    "recommend": "ask a trained policy for a slate",
    "reproduce": "run an experiment of the paper, with verdicts on its claims",
    "demo": "the whole path in a few minutes, with an HTML report",
}


class _Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line."""

    def error(self, message: str) -> NoReturn:
        hint = "; a value that begins with - follows a =" * message.endswith("expected one argument")
        raise UserError(f"{message}{hint} (see '{self.prog} --help')")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 done, 2 the user's to mend, 130 interrupted, 143 told to end by SIGTERM.

    Anything else that goes wrong is our fault: the traceback is shown and Python exits with 1.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr, force=True)
    for level in (logging.WARNING, logging.ERROR, logging.INFO):
        logging.addLevelName(level, logging.getLevelName(level).lower())
    try:
        name, rest = _command(list(sys.argv[1:] if argv is None else argv))
        with ending_when_terminated():
            return _run(name, rest)
    except (UserError, OSError, MemoryError, RuntimeError) as error:
        if (text := _to_mend(error)) is None:
            raise
        _complain(text)
        return 2
    except Terminated:
        _complain("terminated")
        return 143
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130


def _command(argv: list[str]) -> tuple[str, list[str]]:
    parser = _Parser(prog="irecgan", description=irecgan.__doc__)
    parser.add_argument("--version", action="version", version=f"irecgan {irecgan.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False, prefix_chars="\0")
    known = parser.parse_args(argv[:1])
    return known.command, argv[1:]


def _run(name: str, argv: list[str]) -> int:
    # Imported only now: `irecgan --help` need not wait for torch.
    with signals_wait():  # what is half imported cannot be interrupted
        command = cast(Command, importlib.import_module(f"irecgan.commands.{name}"))
    parser = _Parser(prog=f"irecgan {name}", description=command.HELP, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    command.add_arguments(parser)
    args = parser.parse_args(_joined(argv))
    output = command.run(args)
    if speaks():
        _say(json.dumps(output.json, allow_nan=False) if args.json else output.text)
    return 0


def _joined(argv: Sequence[str]) -> list[str]:
    """The arguments, with values like -3,-2 joined to their options: argparse takes them for options of their own.

    >>> _joined(["RUN", "--history", "-3,-2", "-k", "2"])
    ['RUN', '--history=-3,-2', '-k', '2']
    """
    joined: list[str] = []
    for part in argv:
        if re.match(r"-\d", part) and joined and re.fullmatch(r"--\w[\w-]*", joined[-1]):
            joined[-1] += f"={part}"
        else:
            joined.append(part)
    return joined


def _say(text: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # ids in letters that a terminal may not have
    try:
        print(text, flush=True)
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to_mend(error: Exception) -> str | None:
    """What the user is told of an error that is theirs to mend; None where it is ours."""
    if isinstance(error, UserError):
        return str(error)
    if (text := out_of_memory(error)) is not None:
        return text
    return f"{error.filename or 'file system'}: {error.strerror or error}" if isinstance(error, OSError) else None


def _complain(message: str) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
