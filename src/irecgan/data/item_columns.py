"""What is told of items besides the log: one row an item, with any columns."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from irecgan.data.columns import FILE, ITEM
from irecgan.data.features import numbers, require
from irecgan.data.reading import read_frame
from irecgan.data.validation import place_of
from irecgan.errors import UserError


def read_item_columns(path: Path) -> pl.DataFrame:
    """The rows of a file of items, checked by `checked_items`."""
    return checked_items(read_frame(path), str(path))


def checked_items(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """``frame`` with its ids as String, and without the names of files.

    Raises UserError, with the ``name`` of the frame, where it has no item_id or nothing else, ids are missing,
    repeated or no integers or strings, or a number is not finite.
    """
    require(frame, [ITEM], name)
    found = frame.schema[ITEM]
    if not (found.is_integer() or found == pl.String):
        raise UserError(f"{name}: column {ITEM}: found type {found}; expected integers or strings as ids")
    if not frame.drop(ITEM, FILE, strict=False).width:
        raise UserError(f"{name}: found no column but {ITEM}; expected columns that tell of items")
    ids = frame[ITEM].cast(pl.String)
    blank = ids.is_null() | (ids.str.strip_chars() == "")
    for broken, expected in ((blank, "an item id"), (~ids.is_first_distinct(), "one row an item")):
        if broken.any():
            at = int(broken.arg_max() or 0)
            raise UserError(
                f"{place_of(frame, name, at)}: column {ITEM}: found {frame[ITEM][at]!r}; expected {expected}"
            )
    for file, part in _by_file(frame, name):
        for column in part.select(pl.selectors.float()).iter_columns():
            numbers(column, file)
    return frame.drop(FILE, strict=False).with_columns(ids)


def _by_file(frame: pl.DataFrame, name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each file with its name; all with that of the frame, where they do not come from several."""
    if FILE not in frame.columns:
        yield name, frame
        return
    for (file,), part in frame.group_by(FILE, maintain_order=True):
        yield str(file), part


def item_table(shown: pl.Series, told: pl.DataFrame, name: str) -> pl.DataFrame:
    """The items ``shown`` with what is ``told`` of them (nulls where nothing is), and then those never shown.

    ``told`` is of `checked_items`. Raises UserError, with the ``name`` of what tells, where ids of the log are
    integers and one of an item never shown is not.
    """
    left = told.join(shown.cast(pl.String).alias(ITEM).to_frame(), on=ITEM, how="anti", maintain_order="left")
    new = left[ITEM].cast(shown.dtype, strict=False)
    strange = (new.cast(pl.String) != left[ITEM]).fill_null(value=True)
    if strange.any():
        found = left[ITEM].filter(strange)[0]
        raise UserError(f"{name}: column {ITEM}: found {found!r}; expected an integer, as the item ids of the log")
    ids = pl.concat([shown.alias(ITEM), new])
    keyed = pl.DataFrame({ITEM: ids.cast(pl.String)}).join(told, on=ITEM, how="left", maintain_order="left")
    return keyed.with_columns(ids)


def items_beside(log: Path) -> Path:
    """The file in which ``prepare`` writes the items of the log in ``log``."""
    return log.parent / "items.parquet"
