"""Splits of a session log into train, validation and test parts."""

from collections.abc import Callable

import polars as pl

from irecgan.data.columns import LAST_EVENT, SESSION, TIMESTAMP, USER
from irecgan.data.log import LogPart, SessionLog
from irecgan.data.validation import every_time
from irecgan.errors import UserError
from irecgan.seeding import Streams

PARTS = ("train", "validation", "test")
Shares = tuple[float, float, float]
"""Of the sessions (or users) that become each part."""
SHARES: Shares = (0.8, 0.1, 0.1)

_ROUNDING = 1e-9  # by which a share of a whole number of values may fall short of it
_MOST = 1_000_000  # values beyond which it is not looked for how many would do

Split = Callable[[SessionLog, Streams], pl.Series]
"""The values of SESSION or USER in the order in which they are cut into parts."""


def split_log(log: SessionLog, kind: str, streams: Streams, shares: Shares = SHARES) -> dict[str, SessionLog]:
    """The parts of ``log`` by the names of PARTS, in proportion to ``shares``.

    ``random``: sessions shuffled. ``time``: by the time of a session's last event, the latest are the
    test part; ties in the order of the log. ``user``: users shuffled, all sessions of one in one part.
    Raises UserError when the log has no column for the split, or too few sessions or users.
    """
    return {name: part.copy() for name, part in split_parts(log, kind, streams, shares).items()}


def split_parts(log: SessionLog, kind: str, streams: Streams, shares: Shares = SHARES) -> dict[str, LogPart]:
    """The parts of `split_log`, as choices of its rows."""
    column = USER if kind == "user" else SESSION
    order = SPLITS[kind](log, streams)
    bounds = _bounds(len(order), shares)
    if not _all_filled(bounds):
        least = next((n for n in range(3, _MOST) if _all_filled(_bounds(n, shares))), None)
        expected = "larger shares for all parts" if least is None else f"at least {least} to split"
        raise UserError(f"{log.name}: has {len(order)} {column} values after filtering; expected {expected}")
    return {
        part: LogPart(log, log.frame[column].is_in(order[start:end].implode()), f"{log.name} ({part})")
        for part, (start, end) in zip(PARTS, bounds, strict=True)
    }


def _bounds(count: int, shares: Shares) -> tuple[tuple[int, int], ...]:
    """Where each part of ``count`` begins and ends."""
    first, second = (int(count * part / sum(shares) + _ROUNDING) for part in (shares[0], shares[0] + shares[1]))
    return (0, first), (first, second), (second, count)


def _all_filled(bounds: tuple[tuple[int, int], ...]) -> bool:
    return all(start < end for start, end in bounds)


def _random(log: SessionLog, streams: Streams) -> pl.Series:
    return _shuffled(log.frame[SESSION].unique(maintain_order=True), streams)


def _time(log: SessionLog, streams: Streams) -> pl.Series:  # noqa: ARG001
    column = LAST_EVENT if LAST_EVENT in log.frame.columns else TIMESTAMP
    if column not in log.frame.columns:
        raise UserError(f"{log.name}: missing column {TIMESTAMP}; it is needed to split by time")
    times = every_time(log.frame, column, log.name)
    last = log.frame.select(SESSION, times).group_by(SESSION, maintain_order=True).agg(pl.col(column).max())
    return last.sort(column, maintain_order=True)[SESSION]


def _user(log: SessionLog, streams: Streams) -> pl.Series:
    if USER not in log.frame.columns:
        raise UserError(f"{log.name}: missing column {USER}; it is needed to split by user")
    if log.frame[USER].has_nulls():
        raise UserError(f"{log.name}: column {USER}: found an empty value; expected a user on every row")
    per_session = log.frame.group_by(SESSION).agg(pl.col(USER).n_unique().alias("users"))
    if (per_session["users"] > 1).any():
        raise UserError(f"{log.name}: column {USER}: found a session of several users; expected one user a session")
    return _shuffled(log.frame[USER].unique(maintain_order=True), streams)


def _shuffled(values: pl.Series, streams: Streams) -> pl.Series:
    return values.gather(streams.numpy("split").permutation(len(values)))


SPLITS: dict[str, Split] = {"random": _random, "time": _time, "user": _user}
