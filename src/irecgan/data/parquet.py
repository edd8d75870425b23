"""The row groups of a Parquet file, which polars does not tell of."""

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
    while head := data.read(1)[0]:
        last = last + (head >> 4) if head >> 4 else _integer(data)
        fields[last] = _value(data, head & 15)
    return fields


def _value(data: BytesIO, kind: int) -> Any:
    match kind:
        case 1 | 2:  # the truth is in the type
            return kind == 1
        case 3:
            return data.read(1)[0]
        case 4 | 5 | 6:
            return _integer(data)
        case 7:
            return data.read(8)
        case 8:
            return data.read(_unsigned(data))
        case 9 | 10:
            head = data.read(1)[0]
            size = _unsigned(data) if head >> 4 == 15 else head >> 4
            return [data.read(1)[0] if head & 15 in {1, 2} else _value(data, head & 15) for _ in range(size)]
        case 12:
            return _struct(data)
    raise ValueError(f"type {kind} is not used in a Parquet footer")


def _integer(data: BytesIO) -> int:
    number = _unsigned(data)
    return (number >> 1) ^ -(number & 1)


def _unsigned(data: BytesIO) -> int:
    number = shift = 0
    while True:
        byte = data.read(1)[0]
        number |= (byte & 127) << shift
        if byte < 128:
            return number
        shift += 7
