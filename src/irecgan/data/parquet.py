"""The row groups of a Parquet file, which polars does not tell of."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

_MAGIC = b"PAR1"
_ROW_GROUPS, _ROWS = 4, 3  # field numbers in FileMetaData and in RowGroup of parquet.thrift


def row_groups(path: Path) -> list[int]:
    """The number of rows of each row group of a Parquet file. Raises ValueError where its footer cannot be read."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        length, magic = int.from_bytes(file.read(4), "little"), file.read(4)
        if magic != _MAGIC or length > size - 8:
            raise ValueError("not a Parquet file")
        file.seek(size - 8 - length)
        footer = BytesIO(file.read(length))
    try:
        return [group[_ROWS] for group in _struct(footer)[_ROW_GROUPS]]
    except (IndexError, KeyError, TypeError, RecursionError):
        raise ValueError("not the footer of a Parquet file") from None


def broken_row_group(path: Path) -> str:
    """``row group N (rows A to B): `` for the first that cannot be read, counted from 1; nothing where all can."""
    try:
        groups = row_groups(path)
    except ValueError:
        return ""
    start = 0
    for number, rows in enumerate(groups, start=1):
        try:
            pl.scan_parquet(path, hive_partitioning=False).slice(start, rows).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return f"row group {number} (rows {start + 1} to {start + rows}): "
        start += rows
    return ""


def _struct(data: BytesIO) -> dict[int, Any]:
    """A struct of Thrift's compact protocol: values by field number."""
    fields: dict[int, Any] = {}
    last = 0
    while head := _byte(data):
        last = last + (head >> 4) if head >> 4 else _integer(data)
        fields[last] = _value(data, head & 15)
    return fields


def _value(data: BytesIO, kind: int) -> Any:
    if kind not in _VALUES:
        raise ValueError(f"type {kind} is not used in a Parquet footer")
    return _VALUES[kind](data)


def _list(data: BytesIO) -> list[Any]:
    head = _byte(data)
    size = _unsigned(data) if head >> 4 == 15 else head >> 4
    kind = 3 if head & 15 in {1, 2} else head & 15  # in a list, a truth has a byte of its own
    return [_value(data, kind) for _ in range(size)]


def _byte(data: BytesIO) -> int:
    return _bytes(data, 1)[0]


def _bytes(data: BytesIO, size: int) -> bytes:
    """The next ``size`` bytes. Raises IndexError where there are not so many."""
    found = data.read(min(size, len(data.getbuffer())))
    if len(found) < size:
        raise IndexError
    return found


def _integer(data: BytesIO) -> int:
    number = _unsigned(data)
    return (number >> 1) ^ -(number & 1)


def _unsigned(data: BytesIO) -> int:
    number = shift = 0
    while True:
        byte = _byte(data)
        number |= (byte & 127) << shift
        if byte < 128:
            return number
        shift += 7


_VALUES: dict[int, Callable[[BytesIO], Any]] = {
    1: lambda _: True,
    2: lambda _: False,
    3: _byte,
    4: _integer,
    5: _integer,
    6: _integer,
    7: lambda data: _bytes(data, 8),
    8: lambda data: _bytes(data, _unsigned(data)),
    9: _list,
    10: _list,
    12: _struct,
}
"""Readers of the types of Thrift's compact protocol."""
