"""The session log that the rest of the program takes."""

from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from irecgan.data.columns import CLICK, SESSION
from irecgan.data.memory import refuse_too_large
from irecgan.data.reading import read_frame, write_frame, write_parts
from irecgan.data.slices import chosen, items_shown, session_slices
from irecgan.data.validation import validated

_CUT_OFF = 0.1
"""Share of sessions, at most, that end with a click before the limit of their length."""


@dataclass(frozen=True)
class Ends:
    """How the sessions of a log end."""

    sessions: int
    unclicked: int  # that end with a slate in which nothing was clicked
    longest: int  # steps of the longest session
    at_limit: int  # as long as that, and ending with a click

    @property
    def tell(self) -> bool:
        """Whether the log shows the slates at which users left: nearly all sessions end with one, or at a limit.

        Those that end with a click were then cut off. Where many end with a click before the longest session would
        have ended, or hardly any ends otherwise, the log does not say how sessions end.
        """
        early = self.sessions - self.unclicked - self.at_limit
        return early <= _CUT_OFF * self.sessions and self.unclicked > _CUT_OFF * self.sessions

    def and_of(self, other: "Ends") -> "Ends":
        """Of the sessions of both."""
        longest = max(self.longest, other.longest)
        at_limit = sum(part.at_limit for part in (self, other) if part.longest == longest)
        return Ends(self.sessions + other.sessions, self.unclicked + other.unclicked, longest, at_limit)


class Log(Protocol):
    """A validated session log, in memory or not."""

    @property
    def name(self) -> str:
        """What stands for it in messages."""
        ...

    @property
    def steps(self) -> int:
        """The number of steps."""
        ...

    @property
    def clicks(self) -> int:
        """The number of steps with a click."""
        ...

    @property
    def skipped(self) -> int:
        """The number of steps in mid-session without one."""
        ...

    @property
    def ends_unclicked(self) -> bool:
        """Whether the log shows the slates at which users left, see `Ends.tell`."""
        ...

    @property
    def items(self) -> pl.Series:
        """The different items shown, rising."""
        ...

    def parts(self) -> Iterator[pl.DataFrame]:
        """The rows, some whole sessions at a time."""
        ...


@dataclass(frozen=True)
class SessionLog:
    """A validated session log: one row per step, steps in order, sessions in order of appearance.

    ``frame`` is validated, unless it is said to be ``checked`` already; ``name`` stands for the log in messages. Raises
    UserError that names row and column for the first rule that is broken.

    >>> log = SessionLog.from_frame(pl.DataFrame({
    ...     "session_id": [1, 1], "step": [0, 1], "slate": [["a", "b"], ["c", "a"]], "click": ["b", None],
    ... }))
    >>> log.sessions, log.steps, log.ends_unclicked
    (1, 2, True)
    """

    frame: pl.DataFrame
    name: str = "log"
    checked: InitVar[bool] = False

    def __post_init__(self, checked: bool) -> None:
        if not checked:
            object.__setattr__(self, "frame", validated(self.frame, self.name))

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, name: str = "log") -> "SessionLog":
        """The log of ``frame``, as the constructor makes it."""
        return cls(frame, name)

    @classmethod
    def read(cls, path: Path | str, *, every: bool = False) -> "SessionLog":
        """Read Parquet (a file or a directory of files), CSV or JSON lines (also .gz, .zst).

        Raises UserError where the log is wrong, with ``every`` for each rule that it breaks; or where there is not
        enough memory for it.
        """
        refuse_too_large([Path(path)])
        return cls(validated(read_frame(Path(path)), str(path), every=every), str(path), checked=True)

    def write(self, path: Path | str) -> None:
        """Write Parquet, CSV or JSON lines, by the suffix of ``path``; nothing half-written is left.

        Raises UserError for another suffix, and for ids with spaces in a CSV file, which could not be read back.
        """
        write_frame(self.frame, Path(path))

    @property
    def sessions(self) -> int:
        """The number of sessions."""
        return self.frame[SESSION].n_unique()

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.frame)

    @property
    def clicks(self) -> int:
        """The number of steps with a click."""
        return self.frame[CLICK].count()

    @property
    def skipped(self) -> int:
        """The number of steps in mid-session without a click."""
        return int((self.frame[CLICK].is_null() & ~self.last_steps).sum())

    @property
    def items(self) -> pl.Series:
        """The different items shown, rising."""
        return items_shown(self.frame)

    def parts(self) -> Iterator[pl.DataFrame]:
        """The rows, some whole sessions at a time."""
        return session_slices(self.frame)

    @property
    def ends(self) -> Ends:
        """How the sessions end."""
        length = self.frame[SESSION].rle().struct.field("len")
        clicked = self.frame[CLICK].filter(self.last_steps).is_not_null()
        longest = int(length.max() or 0)  # type: ignore[arg-type]
        at_limit = int((clicked & (length == longest)).sum())
        return Ends(len(clicked), len(clicked) - int(clicked.sum()), longest, at_limit)

    @property
    def ends_unclicked(self) -> bool:
        """Whether the log shows the slates at which users left, see `Ends.tell`."""
        return self.ends.tell

    @property
    def last_steps(self) -> pl.Series:
        """Which rows are the last of their session. Boolean"""
        session = self.frame[SESSION]
        return (session != session.shift(-1)).fill_null(True)


@dataclass(frozen=True)
class LogPart:
    """Some whole sessions of a log in memory, of which there is no copy but where one is asked for."""

    log: SessionLog
    rows: pl.Series  # of its steps, Boolean
    name: str

    @property
    def items(self) -> pl.Series:
        """The different items shown, rising."""
        return items_shown(self.log.frame, self.rows)

    def copy(self) -> SessionLog:
        """The sessions as a log of their own."""
        return SessionLog(self.log.frame.filter(self.rows), self.name, checked=True)

    def write(self, path: Path) -> None:
        """Write Parquet, some steps at a time; nothing half-written is left."""
        write_parts(chosen(self.log.frame, self.rows), path)
