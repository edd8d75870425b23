"""Refusing a log that does not fit into memory before it is read."""

import resource
from collections.abc import Iterator, Sequence
from itertools import starmap
from pathlib import Path

import polars as pl

from irecgan.data.parquet import row_groups
from irecgan.data.reading import files_in
from irecgan.errors import UserError

_COPIES = 2.5  # of a log that exist at once at worst: as it was read, a part of it, and what is made slice by slice
_TEXT = 6  # bytes of memory for a byte of a CSV or JSON-lines file, lists of short ids in mind
_COMPRESSED = 5  # bytes of text for a compressed one
_SAMPLE = 10_000  # rows by which the others are judged
_GIGA = 1e9
_GROUPS = Path("/sys/fs/cgroup")
_PROCESS = Path("/proc/self")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")  # limit, use, and cached files in it
_VERSION_2 = ("memory.max", "memory.current", "file")


def refuse_too_large(paths: Sequence[Path]) -> None:
    """Raise UserError where the log in ``paths``, files or directories, needs more memory than is free."""
    free = free_memory()
    need = _COPIES * sum(map(size_in_memory, paths))
    if free is not None and need > free:
        raise UserError(
            f"{paths[0]}: needs about {need / _GIGA:.1f} GB of memory, found {free / _GIGA:.1f} GB free; "
            "expected a log that fits: cut it by sessions, drop columns that are not used, or free memory"
        )


def size_in_memory(path: Path) -> float:
    """About how many bytes the rows of ``path`` take, without reading but the first of them; 0 where it is no log."""
    if path.is_dir():
        return sum(map(size_in_memory, files_in(path)))
    if not path.is_file():
        return 0.0
    if path.suffix != ".parquet":
        return path.stat().st_size * _TEXT * (_COMPRESSED if path.suffix in {".gz", ".zst"} else 1)
    try:
        rows = sum(row_groups(path))
        sample = pl.read_parquet(path, n_rows=_SAMPLE, hive_partitioning=False)
    except (ValueError, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return 0.0  # whoever reads it says what is wrong
    return rows * sum(_size(column) for column in sample) / max(1, len(sample))


def free_memory() -> float | None:
    """Bytes that this process can still take; None = unknown.

    By the kernel's account, those of its control groups, and its limit of address space (``ulimit -v``).
    """
    found = [size for size in (_of_machine(), _of_address_space(), *starmap(_of_group, _groups())) if size is not None]
    return min(found, default=None)


def _size(column: pl.Series) -> float:
    """Bytes of a column: 16 for a string, in which 12 letters have room, and 8 for a list."""
    if isinstance(column.dtype, pl.List):
        return 8 * len(column) + _size(column.explode())
    if column.dtype == pl.String:
        lengths = column.str.len_bytes()
        return 16 * len(column) + float(lengths.filter(lengths > 12).sum())
    return float(column.estimated_size())


def _of_machine() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _of_address_space() -> float | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int((_PROCESS / "statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return float(limit)
    return max(0.0, limit - float(pages * resource.getpagesize()))


def _groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The control groups that may bound this process, its own and those above it, and how their files are named.

    In a container the names are those of the machine, and only the topmost folder is sure to be there.
    """
    try:
        lines = (_PROCESS / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for _, controllers, name in (line.split(":", 2) for line in lines):
        if not controllers or controllers == "memory":
            top, files = (_GROUPS / "memory", _VERSION_1) if controllers else (_GROUPS, _VERSION_2)
            own = top / name.lstrip("/")
            for group in (own, *own.parents):
                if group.is_relative_to(top):
                    yield group, files


def _of_group(group: Path, files: tuple[str, str, str]) -> float | None:
    """What ``group`` leaves; None where it has no limit, or is not there."""
    limit, used, cached = files
    try:
        most, now = ((group / name).read_text(encoding="ascii").strip() for name in (limit, used))
        counts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return None if most == "max" else float(most) - float(now) + float(counts[cached])  # cached files give way
    except (OSError, ValueError, KeyError):
        return None
