"""A session log that is read part by part: for Parquet files in the canonical form, such as ``prepare`` writes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from irecgan.data.columns import (
    CLICK,
    LAST_TOUCHED,
    PROPENSITY,
    REWARD,
    ROW_IN_FILE,
    SESSION,
    SLATE,
    STEP,
    TIMESTAMP,
    TOUCHES,
    USER,
)
from irecgan.data.log import Ends, Log, SessionLog
from irecgan.data.parquet import row_groups
from irecgan.data.reading import UNREADABLE, files_in, unreadable, with_file, without_rows
from irecgan.data.slices import SLICE, distinct, session_starts
from irecgan.data.validation import all_integers, in_canonical_order, validated

_COLUMNS = (SESSION, STEP, TIMESTAMP, SLATE, CLICK, REWARD, PROPENSITY, LAST_TOUCHED, *TOUCHES)
_IDS = (pl.Int64, pl.String)
_ID_TYPES = (*_IDS, *map(pl.List, _IDS))
_TEXTS = (pl.String, pl.List(pl.String))


@dataclass(frozen=True)
class ScannedLog:
    """What one pass over a log has found; its rows are read, and checked, again whenever they are needed.

    A file that is damaged meanwhile is told of by the UserError of whoever reads it.
    """

    path: Path
    files: Sequence[Path]  # the path itself, or what its directory held
    steps: int
    clicks: int
    skipped: int
    ends_unclicked: bool
    items: pl.Series
    context: Sequence[str] | None = ()  # columns that are read besides those of every log; None: all

    @property
    def name(self) -> str:
        """The file, or the directory."""
        return str(self.path)

    def parts(self) -> Iterator[pl.DataFrame]:
        """The rows, some whole sessions at a time."""
        return (part.frame for part in _parts(self.files, self.name, self.context))


def read_or_scan(path: Path, most: int, context: Sequence[str] | None = ()) -> Log:
    """The log in ``path``: scanned where it has more than ``most`` steps and allows it, else read into memory.

    A log can be scanned that is one Parquet file, or a directory of them with the same columns, with ids of one type,
    the rows of a session adjacent (also from one file to the next) and steps in order. ``context``: columns that will
    be read besides those of every log; None for all of them. Raises UserError for the first breach of a rule, or
    where a row group cannot be read.
    """
    files = _parquet_files(path)
    if not files or not _can_be_scanned(files, most):
        return SessionLog.read(path)
    steps = clicks = skipped = 0
    ends = Ends(0, 0, 0, 0)
    items: list[pl.Series] = []
    for part in _parts(files, str(path)):  # the context is read when it is asked for
        steps, clicks, skipped = steps + part.steps, clicks + part.clicks, skipped + part.skipped
        ends = ends.and_of(part.ends)
        items.append(part.items)
    return ScannedLog(path, files, steps, clicks, skipped, ends.tell, distinct(items), context)


def _parquet_files(path: Path) -> list[Path]:
    """The file ``path``, or those of a directory in name order; none where one of them is not Parquet."""
    files = files_in(path) if path.is_dir() else [path]
    return files if all(file.suffix == ".parquet" and file.is_file() for file in files) else []


def _can_be_scanned(files: Sequence[Path], most: int) -> bool:
    if sum(map(_rows, files)) <= most:
        return False
    schema = _schema(files[0])
    if any(list(_schema(file).items()) != list(schema.items()) for file in files):
        return False
    order = next((column for column in (STEP, TIMESTAMP) if column in schema), "")
    if not {SESSION, SLATE, CLICK, order} <= schema.keys() or not _ids_stay(files[0], schema):
        return False
    sortable = schema[order].is_numeric() or schema[order].is_temporal()
    return sortable and in_canonical_order(pl.concat([_columns(file, SESSION, order) for file in files]), order)


def _ids_stay(file: Path, schema: pl.Schema) -> bool:
    """Whether ids have the type in which the whole log would be read: text ids are not all written like integers."""
    ids = schema[CLICK]
    if ids not in _IDS or schema[SLATE] != pl.List(ids) or schema[SESSION] not in _IDS:
        return False
    first = _columns(file, SESSION, SLATE, rows=1_000)
    as_text = [column for column in (SESSION, SLATE) if schema[column] in {pl.String, pl.List(pl.String)}]
    return not any(all_integers(first[column]) for column in as_text)


def _parts(files: Sequence[Path], name: str, context: Sequence[str] | None = ()) -> Iterator[SessionLog]:
    """The log in ``files``, whose sessions are adjacent, some row groups at a time, each session in one part."""
    schema = _schema(files[0])
    columns = [column for column in schema if context is None or column in {*_COLUMNS, *context}]
    types = {**schema, LAST_TOUCHED: schema[CLICK]} | dict.fromkeys(TOUCHES, schema[SLATE])
    own = [column for column in (USER, LAST_TOUCHED, *TOUCHES) if column in columns and types[column] in _ID_TYPES]
    ids = [pl.col(column).cast(types[column]) for column in (SESSION, SLATE, CLICK, *own)]
    # The ids of one part may all be written like integers. What else is text is taken as it is: it might seem no id.
    apart = [column for column in own if column != USER and schema[column] == types[column] in _TEXTS]
    for rows in _whole_sessions(files, columns):
        part = validated(rows.drop(apart), name).with_columns(rows.select(apart))
        yield SessionLog(part.with_columns(ids), name, checked=True)


def _whole_sessions(files: Sequence[Path], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows with their places, some whole sessions at a time."""
    rest = None
    for read in (part for file in files for part in _row_groups(file, columns)):
        part = read if rest is None else pl.concat([rest, read])
        last = session_starts(part)[-1]
        if last:
            yield part[:last]
        rest = part[last:]
    if rest is not None:
        yield rest


def _row_groups(file: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows of a file with their places in it, some row groups at a time."""
    start = 0
    with _readable(file):
        groups = row_groups(file)
    for rows in _together(groups):
        with _readable(file):
            part = pl.scan_parquet(file, hive_partitioning=False).select(columns).slice(start, rows).collect()
        yield with_file(part.with_row_index(ROW_IN_FILE, offset=start + 1), file)
        start += rows


def _rows(file: Path) -> int:
    """How many there are. Raises UserError where there is none."""
    with _readable(file):
        rows = sum(row_groups(file))
    if not rows:
        raise without_rows(file)
    return rows


def _schema(file: Path) -> pl.Schema:
    with _readable(file):
        return pl.Schema(pl.read_parquet_schema(file))


def _columns(file: Path, *names: str, rows: int | None = None) -> pl.DataFrame:
    with _readable(file):
        return pl.read_parquet(file, columns=list(names), n_rows=rows, hive_partitioning=False)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Raise UserError where ``file`` is damaged."""
    try:
        yield
    except UNREADABLE as error:
        raise unreadable(file, error) from None


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
