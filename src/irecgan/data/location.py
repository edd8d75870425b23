"""Where the parts of a prepared log lie."""

from dataclasses import dataclass
from pathlib import Path

from irecgan.data.splits import SHARES, Shares
from irecgan.errors import UserError
from irecgan.files import read_json

REPORT = "prepare.json"
_RUN = ("run.json", "training.json")  # of a training that is finished, or under way


@dataclass(frozen=True)
class Prepared:
    """The files of a directory that ``irecgan prepare`` made."""

    train: Path
    validation: Path
    test: Path

    @property
    def files(self) -> list[Path]:
        """All of them, in this order."""
        return [self.train, self.validation, self.test]


def prepared_shares(path: Path) -> Shares:
    """The shares of the parts of a prepared directory; the usual ones where its report is of an older version."""
    report = read_json(path / REPORT)
    shares = report.get("shares", SHARES) if isinstance(report, dict) else None
    match shares:
        case [float() | int(), float() | int(), float() | int()]:
            train, validation, test = shares
            return train, validation, test
    raise UserError(f"{path / REPORT}: shares: found {shares!r}; expected three numbers")


def find_prepared(path: Path) -> Prepared | None:
    """The parts of a prepared directory; None when ``path`` is not one.

    Raises UserError when a part is missing, or ``path`` is a run.
    """
    if any((path / name).is_file() for name in _RUN):
        raise UserError(f"{path}: is a run; expected a session log, or a directory that 'irecgan prepare' made")
    if not (path / REPORT).is_file():
        return None
    parts = [path / f"{name}.parquet" for name in ("train", "validation", "test")]
    for part in parts:
        if not part.is_file():
            raise UserError(f"{part}: no such file; expected the parts that {path / REPORT} tells of")
    return Prepared(*parts)
