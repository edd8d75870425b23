"""Properties of hotels of the RecSys Challenge 2019 (trivago)."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from irecgan.data.columns import ITEM
from irecgan.errors import UserError

PROPERTIES = "properties"
_DENSE = "list_metadata"  # the last column of mars-gym's file, whose others are 0 or 1 for each property


def is_metadata(path: Path) -> bool:
    """Whether ``path`` tells of hotels: by the columns that its first line names."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.readline().decode("utf-8-sig", "replace").strip().split(",")
    return head == [ITEM, PROPERTIES] or head[-1] == _DENSE


def read_metadata(paths: Sequence[Path]) -> pl.DataFrame | None:
    """One row a hotel with the list of its properties; of several files the first counts. None without a file."""
    if not paths:
        return None
    return pl.concat([_read(path) for path in paths]).unique(ITEM, keep="first", maintain_order=True)


def _read(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path}: cannot be read as CSV ({' '.join(str(error).split())[:200]})") from None
    if ITEM not in frame.columns:
        raise UserError(f"{path}: missing column {ITEM}; found columns {', '.join(frame.columns[:5])}")
    blank = (frame[ITEM].str.strip_chars() == "").fill_null(value=True)
    if blank.any():
        raise UserError(
            f"{path}: row {int(blank.arg_max() or 0) + 2}: column {ITEM}: found nothing; expected an item id"
        )
    if PROPERTIES in frame.columns:
        return frame.select(ITEM, pl.col(PROPERTIES).str.split("|"))
    names = [column for column in frame.columns if column not in {"", ITEM, _DENSE}]
    has = [pl.when(pl.col(column) == "1").then(pl.lit(column.replace(" ", "_"))) for column in names]
    return frame.select(ITEM, pl.concat_list(has).list.drop_nulls().alias(PROPERTIES))
