"""Files of many histories, and of the slates recommended after them."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from irecgan.data.columns import FILE
from irecgan.data.parquet import row_groups
from irecgan.data.reading import UNREADABLE, full_disk_told, read_frame, unreadable
from irecgan.errors import UserError
from irecgan.files import atomic_path

HISTORY, ITEMS, PROBABILITIES = "history", "items", "probabilities"
CHUNK = 10_000
"""Histories of a task."""


@dataclass(frozen=True)
class Chunk:
    """Rows of a file of histories, the first of which is row ``start`` + 1; ``history`` is a list of text."""

    start: int
    frame: pl.DataFrame


def read_histories(path: Path, rows: int = CHUNK) -> Iterator[Chunk]:
    """The histories in ``path``, so many ``rows`` at a time.

    ``path`` is Parquet, which is read part by part, or CSV or JSON lines, which are read whole. Its column
    ``history`` holds lists of item ids, the oldest click first (in CSV with spaces between); empty or null is no
    click so far. Other columns are carried along. Raises UserError for the first breach of this.
    """
    for start, frame in _parts(path, rows):
        yield Chunk(start, _checked(frame, path, start))


def _parts(path: Path, rows: int) -> Iterator[tuple[int, pl.DataFrame]]:
    if path.suffix != ".parquet" or not path.is_file():
        frame = read_frame(path).drop(FILE, strict=False)
        for start in range(0, len(frame), rows):
            yield start, frame[start : start + rows]
        return
    try:
        total = sum(row_groups(path))
        if not total:
            raise UserError(f"{path}: has no rows; expected one row per history")
        scan = pl.scan_parquet(path, hive_partitioning=False)
        for start in range(0, total, rows):
            yield start, scan.slice(start, rows).collect()
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def _checked(frame: pl.DataFrame, path: Path, start: int) -> pl.DataFrame:
    if HISTORY not in frame.columns:
        raise UserError(f"{path}: missing column {HISTORY}; found columns {', '.join(frame.columns[:12])}")
    for column in (ITEMS, PROBABILITIES):
        if column in frame.columns:
            raise UserError(f"{path}: column {column}: is what recommendations are written to; expected another name")
    kind = frame.schema[HISTORY]
    history = pl.col(HISTORY)
    if kind == pl.String:
        history = history.str.strip_chars().str.split(" ").list.eval(pl.element().filter(pl.element() != ""))
    elif kind != pl.Null and not _holds_ids(kind):
        raise UserError(f"{path}: column {HISTORY}: found type {kind}; expected lists of item ids")
    lists = frame.with_columns(history.cast(pl.List(pl.String)).fill_null([]))
    blank = lists[HISTORY].list.eval(pl.element().is_null() | (pl.element().str.strip_chars() == "")).list.any()
    if blank.any():
        at = int(blank.arg_max() or 0)
        found = lists[HISTORY][at].to_list()
        raise UserError(f"{path}: row {start + at + 1}: column {HISTORY}: found {found}; expected no empty item id")
    return lists


def _holds_ids(kind: pl.DataType) -> bool:
    """Whether values of type ``kind`` can be lists of item ids."""
    inner = kind.inner if isinstance(kind, pl.List) else None
    return inner in (pl.String, pl.Null) or (isinstance(inner, pl.DataType) and inner.is_integer())


def expect_parquet(path: Path) -> None:
    """Raise UserError where what is recommended cannot be written to ``path``."""
    if path.suffix != ".parquet":
        raise UserError(f"{path}: found suffix {path.suffix!r}; expected .parquet to write")


def write_recommended(path: Path, parts: Iterable[tuple[Chunk, pl.DataFrame]]) -> int:
    """Write the ``parts``, in whatever order they come, as one Parquet file in the order of their rows; the row count.

    Never more than some of them are in memory.
    """
    expect_parquet(path)
    rows = 0
    with atomic_path(path) as temporary:
        home = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            for chunk, part in parts:
                with full_disk_told(path):
                    part.write_parquet(home / f"{chunk.start:015}.parquet")
                rows += len(part)
            with full_disk_told(path):
                pl.scan_parquet(sorted(home.iterdir()), hive_partitioning=False).sink_parquet(temporary)
        finally:
            shutil.rmtree(home)
    return rows
