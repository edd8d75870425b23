"""The columns of items and of the log that a training reads, coded by what the training log has of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import COLUMNS, INTERNAL, ITEM
from irecgan.data.features import Code, numbers, require
from irecgan.data.fitting import fit, parse_wanted
from irecgan.data.item_columns import checked_items, item_table, items_beside, read_item_columns
from irecgan.data.log import Log, SessionLog
from irecgan.errors import UserError
from irecgan.models.content import Inputs, ItemFeatures
from irecgan.training.config import TrainingConfig

Told = pl.DataFrame | Path | str
"""One row an item, with ``item_id`` and further columns; or the file of such rows."""


@dataclass(frozen=True)
class Columns:
    """What a training reads besides ids.

    Items of the file that the log never showed take no part in learning: they come after the others, and join the
    catalogue when the training is finished.
    """

    catalogue: Catalogue  # with those never shown
    inputs: Inputs  # of all these items
    table: pl.DataFrame | None  # the columns of the items as they were told

    def learned(self, items: int) -> Inputs:
        """The same of the first ``items`` items, those of the log."""
        if self.inputs.items is None:
            return self.inputs
        rows = self.inputs.items.rows.select(torch.arange(items))
        return Inputs(ItemFeatures(self.inputs.items.code, rows), self.inputs.context)


def wanted_context(config: TrainingConfig) -> Sequence[str] | None:
    """The context columns to read from a log; None for all."""
    if config.context_features is None:
        return ()
    wanted = parse_wanted(config.context_features, "context_features")
    return None if wanted is None else [column.name for column in wanted]


def beside(log: SessionLog | Path | str) -> Path | None:
    """The items beside a log's file, if there are any."""
    path = None if isinstance(log, SessionLog) else items_beside(Path(log))
    return path if path is not None and path.is_file() else None


def read_columns(log: Log, catalogue: Catalogue, config: TrainingConfig, told: Told | None) -> Columns:
    """The columns that ``config`` asks for, of the training ``log`` and of what is ``told`` of its items.

    Raises UserError where they are missing, or are not what they should be.
    """
    own, context, items, table = config.missing_features == "own", None, None, None
    if config.context_features is not None:
        wanted = parse_wanted(config.context_features, "context_features")
        context = fit(log.parts, wanted, log.name, besides=(*COLUMNS, *INTERNAL), own_missing=own)
    if config.item_features is not None:
        table, name = _told(told, catalogue, log)
        items = _item_features(table, len(catalogue), name, config.item_features, own_missing=own)
        catalogue = Catalogue(table[ITEM])
    return Columns(catalogue, Inputs(items, context), table)


def _told(told: Told | None, catalogue: Catalogue, log: Log) -> tuple[pl.DataFrame, str]:
    """The items of the catalogue and those never shown, and the name of what tells of them."""
    if told is None:
        raise UserError(f"setting item_features: found no items beside {log.name}; expected a file of items (--items)")
    name = "items" if isinstance(told, pl.DataFrame) else str(told)
    found = checked_items(told, name) if isinstance(told, pl.DataFrame) else read_item_columns(Path(told))
    return item_table(catalogue.items, found, name), name


def _item_features(table: pl.DataFrame, shown: int, name: str, setting: str, *, own_missing: bool) -> ItemFeatures:
    wanted = parse_wanted(setting, "item_features")
    for column in wanted or ():
        require(table, [column.name], name)
        if column.kind == "number":
            _expect_numbers(table, column.name, name)
    head = table[:shown]
    code: Code = fit(lambda: iter([head]), wanted, name, besides=(ITEM,), own_missing=own_missing)
    return ItemFeatures(code, code.encode(table, name))


def _expect_numbers(table: pl.DataFrame, column: str, name: str) -> None:
    """Raise UserError that names the first item whose value is no number."""
    values = table[column]
    wrong = values.is_not_null() & values.cast(pl.Float64, strict=False).is_null()
    if values.dtype == pl.String and wrong.any():
        item, found = table[ITEM].filter(wrong)[0], values.filter(wrong)[0]
        raise UserError(f"{name}: item {item}: column {column}: found {found!r}; expected a number or nothing")
    numbers(values, name)
