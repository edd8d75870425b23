"""What the command line expects of a command."""

import argparse
import os
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Output:
    """The result of a command: ``text`` for people, ``json`` for programs (finite numbers only)."""

    text: str
    json: dict[str, Any]


def speaks() -> bool:
    """Whether this process tells people what came of a command: of those that torchrun starts, the first."""
    return "MASTER_ADDR" not in os.environ or os.environ.get("RANK", "0") == "0"


def add_device(parser: argparse.ArgumentParser) -> None:
    """Declare ``--device``."""
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda|auto", help="where to compute (default: cpu)")


class Command(Protocol):
    """A module of ``irecgan.commands``."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options (``--json`` is added for every command)."""
        ...

    def run(self, args: argparse.Namespace) -> Output:
        """Do the work. Raises UserError for whatever the user can mend."""
        ...
