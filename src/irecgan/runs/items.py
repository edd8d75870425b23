"""``items.parquet`` of a run: its catalogue, with what its training log says of each item."""

from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import ITEM
from irecgan.data.ragged import offsets
from irecgan.data.reading import read_frame, write_frame
from irecgan.data.statistics import ItemCounts
from irecgan.errors import UserError
from irecgan.policies.co_click import Neighbours

ITEMS = "items.parquet"
_POPULARITY = ("popularity_first", "popularity_later")
_COUNTS = {"shown": "shown", "clicks": "clicks", "sessions": "clicked_sessions"}
_NEIGHBOURS, _COSINES = "co_clicked", "cosine"


def write_items(
    directory: Path,
    catalogue: Catalogue,
    popularity: Tensor,
    co_clicks: Neighbours | None,
    counts: ItemCounts | None = None,
) -> None:
    """Write one row an item: id, popularity (2, n), ``counts`` and, as lists, items clicked with it and cosines."""
    columns = dict(zip(_POPULARITY, map(pl.Series, popularity.numpy()), strict=True))
    if counts is not None:
        columns |= {name: pl.Series(getattr(counts, field).numpy()) for field, name in _COUNTS.items()}
    frame = pl.DataFrame({ITEM: catalogue.items, **columns})
    if co_clicks is not None:
        row, item, weight = co_clicks.rows(torch.arange(len(catalogue)))
        pairs = pl.DataFrame({_NEIGHBOURS: catalogue.items.gather(item.numpy()), _COSINES: weight.numpy()})
        lists = pairs.group_by(pl.Series("row", row.numpy()), maintain_order=True).agg(pl.all())
        rows = frame.with_columns(row=pl.int_range(pl.len()))
        frame = rows.join(lists, on="row", how="left", maintain_order="left").drop("row")
    write_frame(frame, directory / ITEMS)


def read_counts(directory: Path) -> ItemCounts | None:
    """The counts of `write_items`; None in runs written without them."""
    frame = read_frame(directory / ITEMS)
    if set(_COUNTS.values()) - set(frame.columns):
        return None
    return ItemCounts(*(torch.from_numpy(frame[column].to_numpy(writable=True)) for column in _COUNTS.values()))


def read_items(directory: Path) -> tuple[Catalogue, Tensor, Neighbours | None]:
    """What `write_items` wrote. Raises UserError when a column is missing."""
    frame = read_frame(directory / ITEMS)
    if missing := {ITEM, *_POPULARITY} - set(frame.columns):
        raise UserError(f"{directory / ITEMS}: missing column {', '.join(sorted(missing))}; not the items of a run")
    catalogue = Catalogue(frame[ITEM])
    popularity = torch.stack([torch.from_numpy(frame[c].to_numpy(writable=True)) for c in _POPULARITY])
    if _NEIGHBOURS not in frame.columns:
        return catalogue, popularity, None
    counts = frame[_NEIGHBOURS].list.len().fill_null(0).cast(pl.Int64).extend_constant(0, 1)
    pairs = frame.select(_NEIGHBOURS, _COSINES).drop_nulls().explode(_NEIGHBOURS, _COSINES)
    weight = torch.from_numpy(pairs[_COSINES].to_numpy(writable=True))
    start = offsets(torch.from_numpy(counts.to_numpy(writable=True)))
    return catalogue, popularity, Neighbours(start, catalogue.index(pairs[_NEIGHBOURS]), weight)
