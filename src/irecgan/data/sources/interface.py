"""What a reader of a raw format gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from irecgan.seeding import Streams


@dataclass(frozen=True)
class Raw:
    """Rows with the columns of a session log, not yet validated."""

    frame: pl.DataFrame
    rows: int  # read from the files
    left_out: dict[str, int] = field(default_factory=dict)  # reason -> rows of the files that are no steps
    items: pl.DataFrame | None = None  # one row an item with item_id and what else the files tell of it


Source = Callable[[Sequence[Path], Streams], Raw]
"""Reads the given files or directories; the streams serve formats that have lost an order."""
