"""A session log that is read part by part: for Parquet files in the canonical form, such as ``prepare`` writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from irecgan.data.columns import CLICK, LAST_TOUCHED, PROPENSITY, REWARD, SESSION, SLATE, STEP, TIMESTAMP
from irecgan.data.log import Log, SessionLog, tells_ends
from irecgan.data.parquet import row_groups
from irecgan.data.reading import UNREADABLE, unreadable
from irecgan.data.slices import SLICE, distinct, session_starts
from irecgan.data.validation import all_integers, in_canonical_order, validated

_COLUMNS = (SESSION, STEP, TIMESTAMP, SLATE, CLICK, REWARD, PROPENSITY, LAST_TOUCHED)
_IDS = (pl.Int64, pl.String)


@dataclass(frozen=True)
class ScannedLog:
    """What one pass over a log has found; its rows are read, and checked, again whenever they are needed."""

    path: Path
    steps: int
    clicks: int
    skipped: int
    ends_unclicked: bool
    items: pl.Series
    context: Sequence[str] | None = ()  # columns that are read besides those of every log; None: all

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    def parts(self) -> Iterator[pl.DataFrame]:
        """The rows, some whole sessions at a time."""
        return (part.frame for part in _parts(self.path, self.context))


def read_or_scan(path: Path, most: int, context: Sequence[str] | None = ()) -> Log:
    """The log in ``path``: scanned where it has more than ``most`` steps and allows it, else read into memory.

    A log can be scanned that is one Parquet file with ids of one type, the rows of a session adjacent and steps in
    order. ``context``: columns that will be read besides those of every log; None for all of them. Raises UserError
    for the first breach of a rule, or where a row group cannot be read.
    """
    if path.suffix != ".parquet" or not path.is_file() or not _can_be_scanned(path, most):
        return SessionLog.read(path)
    steps = clicks = skipped = sessions = unclicked_ends = 0
    items: list[pl.Series] = []
    for part in _parts(path):  # the context is read when it is asked for
        steps, clicks, skipped = steps + part.steps, clicks + part.clicks, skipped + part.skipped
        sessions += part.sessions
        unclicked_ends += part.unclicked_ends
        items.append(part.items)
    return ScannedLog(path, steps, clicks, skipped, tells_ends(unclicked_ends, sessions), distinct(items), context)


def _can_be_scanned(path: Path, most: int) -> bool:
    try:
        if sum(row_groups(path)) <= most:
            return False
        schema = pl.read_parquet_schema(path)
        order = next((column for column in (STEP, TIMESTAMP) if column in schema), "")
        if not {SESSION, SLATE, CLICK, order} <= schema.keys():
            return False
        narrow = pl.read_parquet(path, columns=[SESSION, order], hive_partitioning=False)
        first = pl.read_parquet(path, columns=[SESSION, SLATE], n_rows=1_000, hive_partitioning=False)
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    ids, sortable = schema[CLICK], schema[order].is_numeric() or schema[order].is_temporal()
    if not sortable or ids not in _IDS or schema[SLATE] != pl.List(ids) or schema[SESSION] not in _IDS:
        return False
    as_text = [column for column in (SESSION, SLATE) if schema[column] in {pl.String, pl.List(pl.String)}]
    return not any(all_integers(first[column]) for column in as_text) and in_canonical_order(narrow, order)


def _parts(path: Path, context: Sequence[str] | None = ()) -> Iterator[SessionLog]:
    """The log in ``path``, whose sessions are adjacent, some row groups at a time, each session in one part."""
    schema = pl.read_parquet_schema(path)
    columns = [column for column in schema if context is None or column in {*_COLUMNS, *context}]
    ids = [pl.col(column).cast(schema[column]) for column in (SESSION, SLATE, CLICK)]
    done = 0
    for rows in _whole_sessions(path, columns):
        part = validated(rows, f"{path} (rows {done + 1} to {done + len(rows)})")
        yield SessionLog(part.with_columns(ids), str(path))  # the ids of one part may all be written like integers
        done += len(rows)


def _whole_sessions(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    scan = pl.scan_parquet(path, hive_partitioning=False).select(columns)
    start, rest = 0, None
    for rows in _together(row_groups(path)):
        try:
            part = scan.slice(start, rows).collect()
        except UNREADABLE as error:
            raise unreadable(path, error) from None
        part = part if rest is None else pl.concat([rest, part])
        last = session_starts(part)[-1]
        if last:
            yield part[:last]
        start, rest = start + rows, part[last:]
    if rest is not None:
        yield rest


def _together(groups: list[int]) -> Iterator[int]:
    """The rows of neighbouring ``groups`` that are read at once: SLICE, or those of one group."""
    rows = 0
    for group in groups:
        if rows and rows + group > SLICE:
            yield rows
            rows = 0
        rows += group
    if rows:
        yield rows
