"""Files of a session log as raw frames: formats and compression, no rules."""

import errno
import gzip
import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from irecgan.data.columns import CLICK, FILE, SESSION, SLATE, STEP, TIMESTAMP, TOUCHES
from irecgan.data.ids import with_whole_ids
from irecgan.data.parquet import broken_row_group
from irecgan.data.slices import slices
from irecgan.errors import UserError
from irecgan.files import atomic_path

UNREADABLE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    OSError,
    EOFError,
    UnicodeError,
    ValueError,
)
"""What readers raise on damaged files."""
_COMPRESSION = (".gz", ".zst")
_FORMATS = {".parquet": "Parquet", ".csv": "CSV", ".jsonl": "JSON lines", ".ndjson": "JSON lines"}
_IN_BRACKETS = r"^\[[^\[\]]*\s[^\[\]]*\]$"  # all ids together, as arrays are printed
_NEEDED = {SESSION, STEP, TIMESTAMP, SLATE, CLICK}
_ROW_GROUP = 131_072  # steps of a part


def read_frame(path: Path) -> pl.DataFrame:
    """The rows of a Parquet, CSV or JSON-lines file, or of a directory of such files in name order.

    Files of a directory may have different optional columns, and types as far as one holds the other.

    CSV cells are left as strings, empty ones are null, slates are split at spaces, one or more. CSV and JSON lines
    may be compressed (``.gz``, ``.zst``). Raises UserError when a file is missing, unreadable or empty.
    """
    return _read_directory(path) if path.is_dir() else _read_checked(path)


def _read_checked(path: Path) -> pl.DataFrame:
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(
            f"{path}: is neither a file nor a directory; expected one of them, as it is read more than once"
        )
    try:
        frame = _read_file(path)
    except UNREADABLE as error:
        if isinstance(error, PermissionError):
            raise
        raise unreadable(path, error) from None
    if frame.is_empty():
        raise without_rows(path)
    return frame


def without_rows(path: Path) -> UserError:
    """The one line that says that a file is empty."""
    return UserError(f"{path}: has no rows; expected one row per step of a session, or per item")


def unreadable(path: Path, error: BaseException) -> UserError:
    """The one line that says which file, and what part of it, is damaged."""
    reason = " ".join(str(error).split())[:200]
    return UserError(f"{path}: {_broken_place(path)}cannot be read as {_format(path)} ({reason})")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write ``frame`` at once, as Parquet, CSV or JSON lines by the suffix of ``path``.

    Raises UserError for another suffix, and for what CSV cannot hold: texts with spaces in a list, or lists of lists.
    """
    kind = written_format(path)
    if kind == "CSV":
        frame = _flat(frame, path)
    with atomic_path(path) as temporary:
        if kind == "Parquet":
            with full_disk_told(path):
                frame.write_parquet(temporary)
        elif kind == "CSV":
            frame.write_csv(temporary)
        else:
            frame.write_ndjson(temporary)


def written_format(path: Path) -> str:
    """The format in which ``path`` is written, by its suffix. Raises UserError where it has none."""
    kind = _known_format(path)
    if kind is None or path.suffix in _COMPRESSION:
        raise UserError(f"{path}: found suffix {path.suffix!r}; expected .parquet, .csv or .jsonl to write")
    return kind


def _flat(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """``frame`` with its lists as texts, spaces between what they hold. Raises UserError where CSV cannot hold it."""
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List) and not kind.inner.is_nested()]
    for name, kind in frame.schema.items():
        if kind.is_nested() and name not in lists:
            raise UserError(
                f"{path}: column {name}: found {kind}; expected no more than plain lists in CSV; .parquet takes it"
            )
    _refuse_spaces(frame, path)
    return frame.with_columns(pl.col(lists).cast(pl.List(pl.String)).list.join(" "))


def _refuse_spaces(frame: pl.DataFrame, path: Path) -> None:
    """Raise UserError for the first text in a list that could not be read back, because there are spaces between."""
    for column in frame.select(pl.selectors.by_dtype(pl.List(pl.String))).iter_columns():
        row = 0
        for part in slices(column.to_frame()):
            texts = part.to_series().list.eval(pl.element().filter(pl.element().str.contains(r"\s")))
            for at in (texts.list.len() > 0).fill_null(value=False).arg_true().head(1):
                raise UserError(
                    f"{path}: row {row + at + 1}: column {column.name}: found {texts[at][0]!r}; "
                    "expected no space in a list that is written to CSV; .parquet and .jsonl take it"
                )
            row += len(part)


def write_parts(parts: Iterable[pl.LazyFrame], path: Path) -> None:
    """Write ``parts``, one after the other, as one Parquet file at once; they need not be in memory together."""
    with atomic_path(path) as temporary, full_disk_told(path):
        pl.concat(parts).sink_parquet(temporary, row_group_size=_ROW_GROUP)


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Within it, that Parquet cannot be written to ``path`` is an OSError, whatever polars calls it."""
    try:
        yield
    except pl.exceptions.ComputeError as error:  # how polars reports a full disk here
        raise OSError(errno.EIO, f"cannot be written ({error})", str(path)) from None


def _read_directory(path: Path) -> pl.DataFrame:
    files = files_in(path)
    if not files:
        raise UserError(f"{path}: found no .parquet, .csv or .jsonl (.gz, .zst) file in the directory")
    frames = [with_file(with_whole_ids(_read_checked(file)), file) for file in files]
    for file, frame in zip(files, frames, strict=True):
        for column in _NEEDED & {name for other in frames for name in other.columns} - {*frame.columns}:
            if not (column == CLICK and _format(file) == "JSON lines"):  # where what is nothing may be left out
                raise UserError(f"{file}: missing column {column}, which other files of the directory have")
    try:
        return pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path}: its files do not fit together ({' '.join(str(error).split())[:200]})") from None


def files_in(directory: Path) -> list[Path]:
    """The files of a directory that are read, in name order; hidden ones, as unfinished files are, are not."""
    files = (file for file in directory.iterdir() if not file.name.startswith("."))
    return sorted(file for file in files if _known_format(file))


def with_file(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    """The rows with the name of their file, for messages."""
    return frame.with_columns(pl.lit(str(file), dtype=pl.Categorical).alias(FILE))


def _read_file(path: Path) -> pl.DataFrame:
    kind = _format(path)
    if kind == "Parquet":
        return pl.read_parquet(path, hive_partitioning=False)
    if kind == "CSV":
        _refuse_ragged(path)
        frame = _without_blank_end(pl.read_csv(path, infer_schema=False, null_values=[""]))
        for column in frame.columns:
            if twice := re.fullmatch(r"(.*)_duplicated_\d+", column):
                raise UserError(f"{path}: column {twice[1]}: found twice in the header; expected each column once")
        lists = [column for column in (SLATE, *TOUCHES) if column in frame.columns]
        frame = frame.with_columns(_lists(frame[column].str.strip_chars(), path) for column in lists)
        if CLICK in frame.columns:
            frame = frame.with_columns(pl.col(CLICK).str.strip_chars())
        return frame
    return pl.read_ndjson(path, infer_schema_length=None)


def _without_blank_end(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` up to its last row that holds something."""
    holds = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    return frame[: len(frame) - int(holds.reverse().arg_max() or 0)] if holds.any() else frame.clear()


def _lists(text: pl.Series, path: Path) -> pl.Series:
    """The ids between the spaces. Raises UserError for ids in brackets, or with commas too between them."""
    wrong = (text.str.contains(", ", literal=True) | text.str.contains(_IN_BRACKETS)).fill_null(value=False)
    if wrong.any():
        at = int(wrong.arg_max() or 0)
        place, found = f"{path}: row {at + 1}: column {text.name}", text[at][:60]
        raise UserError(f"{place}: found {found!r}; expected ids with only spaces between")
    several = text.str.contains("  ", literal=True).any()
    return (text.str.replace_all(" {2,}", " ") if several else text).str.split(" ")


def _refuse_ragged(path: Path) -> None:
    """Raise UserError for the first line of a CSV file that has not as many fields as its header.

    Lines with quotes are not counted, and none in a file where a quoted field may hold a line break.
    """
    whole: dict[str, Any] = {"separator": "\x1f", "quote_char": None, "truncate_ragged_lines": True}
    lines = pl.read_csv(path, has_header=False, infer_schema=False, **whole).to_series().drop_nulls()
    if lines.is_empty() or (lines.str.count_matches('"', literal=True) % 2 == 1).any():
        return
    fields = lines.str.count_matches(",", literal=True) + 1
    wrong = (fields != fields[0]) & ~lines.str.contains('"', literal=True) & ('"' not in lines[0])
    if wrong.any():
        at = int(wrong.arg_max() or 0)
        raise UserError(f"{path}: row {at}: found {fields[at]} fields; expected {fields[0]}, as in the header")


def _broken_place(path: Path) -> str:
    """The row group of a Parquet file, or the line of a file of JSON lines, that cannot be read, if it can be told."""
    return broken_row_group(path) if path.suffix == ".parquet" else _broken_line(path)


def _broken_line(path: Path) -> str:
    """``row N: `` and what is wrong there, for the first line of a JSON-lines file that is no JSON; else nothing."""
    if _format(path) != "JSON lines" or path.suffix == ".zst":
        return ""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in filter(bytes.strip, file):
                number += 1
                json.loads(line, parse_float=_finite, parse_constant=_finite)
    except (ValueError, OSError, EOFError, RecursionError) as error:
        return f"row {max(number, 1)}: {error}: "
    return ""


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"found {text}; expected a finite number")
    return number


def _format(path: Path) -> str:
    found = _known_format(path)
    if found is None:
        raise UserError(f"{path}: found suffix {path.suffix!r}; expected .parquet, .csv or .jsonl (.gz, .zst)")
    return found


def _known_format(path: Path) -> str | None:
    if path.suffix not in _COMPRESSION:
        return _FORMATS.get(path.suffix)
    within = Path(path.stem).suffix
    return None if within == ".parquet" else _FORMATS.get(within)
