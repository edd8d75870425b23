"""The session log that the rest of the program takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from irecgan.data.columns import CLICK, SESSION
from irecgan.data.memory import refuse_too_large
from irecgan.data.reading import read_frame, write_frame
from irecgan.data.slices import items_shown, session_slices
from irecgan.data.validation import order_column, validated

_CUT_OFF = 0.1
"""Share of sessions, at most, that end with a click because the log was cut off there."""


def tells_ends(unclicked: int, sessions: int) -> bool:
    """Whether a log shows the slates at which users left, when so many of its sessions end with one.

    Then those that end with a click were cut off: by a limit of their length, or by the end of the log. Where more
    do, the log does not say how sessions end.
    """
    return unclicked >= (1 - _CUT_OFF) * sessions


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
        """See `tells_ends`."""
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

    >>> log = SessionLog.from_frame(pl.DataFrame({
    ...     "session_id": [1, 1], "step": [0, 1], "slate": [["a", "b"], ["c", "a"]], "click": ["b", None],
    ... }))
    >>> log.sessions, log.steps, log.ends_unclicked
    (1, 2, True)
    """

    frame: pl.DataFrame
    name: str = "log"

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, name: str = "log") -> "SessionLog":
        """Validate ``frame``; ``name`` stands for it in messages.

        Raises UserError that names row and column for the first rule that is broken.
        """
        return cls(validated(frame, name), name)

    @classmethod
    def read(cls, path: Path | str) -> "SessionLog":
        """Read Parquet (a file or a directory of files), CSV or JSON lines (also .gz, .zst).

        Raises UserError where the log is wrong, or there is not enough memory for it.
        """
        refuse_too_large([Path(path)])
        return cls.from_frame(read_frame(Path(path)), str(path))

    def write(self, path: Path | str) -> None:
        """Write Parquet, CSV or JSON lines, by the suffix of ``path``; nothing half-written is left."""
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
    def order(self) -> str:
        """The column that orders the steps of a session: ``step`` or ``timestamp``."""
        return order_column(self.frame)

    @property
    def unclicked_ends(self) -> int:
        """The number of sessions that end with a slate in which nothing was clicked."""
        return self.frame[CLICK].filter(self.last_steps).null_count()

    @property
    def ends_unclicked(self) -> bool:
        """See `tells_ends`."""
        return tells_ends(self.unclicked_ends, self.sessions)

    @property
    def last_steps(self) -> pl.Series:
        """Which rows are the last of their session. Boolean"""
        session = self.frame[SESSION]
        return (session != session.shift(-1)).fill_null(True)
