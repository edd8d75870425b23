"""The frozen map between the user's item ids and the indices that models use."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from irecgan.data.columns import ITEM
from irecgan.data.log import Log, LogPart
from irecgan.data.reading import write_frame
from irecgan.errors import UserError

ItemId = int | str

_FEW = 1_000
"""Catalogues of more than so many times the ids that are looked up are searched, and not hashed anew."""


@dataclass(frozen=True)
class Catalogue:
    """Items 0 .. n-1 in the order of ``items``; index n stands for an item that is not among them.

    >>> catalogue = Catalogue(pl.Series("item_id", [30, 10, 20]))
    >>> catalogue.index([10, 99]).tolist(), catalogue.ids_of(torch.tensor([2, 0]))
    ([1, 3], [20, 30])
    """

    items: pl.Series  # ids, Int64 or String

    def __post_init__(self) -> None:
        if len(self.items) < 2:
            raise UserError(f"the catalogue has {len(self.items)} item; expected at least 2 to choose from")
        if self.items.is_duplicated().any():
            twice = self.items.filter(self.items.is_duplicated())[0]
            raise UserError(f"the catalogue has item {twice!r} more than once")

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def from_log(cls, log: Log | LogPart) -> "Catalogue":
        """All items that were shown, in the order of their ids. Raises UserError when that is one item."""
        items = log.items.alias(ITEM)
        if len(items) < 2:
            raise UserError(f"{log.name}: column slate: found only item {items[0]!r}; expected items to choose from")
        return cls(items)

    def write(self, path: Path) -> None:
        """Write ``items.parquet``."""
        write_frame(self.items.alias(ITEM).to_frame(), path)

    def index(self, ids: Sequence[ItemId] | pl.Series) -> Tensor:
        """Indices of ``ids``, n for those not known. (R,) int64"""
        wanted = pl.Series(ids, dtype=self.items.dtype) if not isinstance(ids, pl.Series) else ids
        if wanted.dtype != self.items.dtype:
            wanted = self._as_written(wanted.cast(pl.String))
        if _FEW * len(wanted) < len(self):
            found = self._searched(wanted)
        else:
            found = wanted.replace_strict(self.items, self._indices, default=len(self), return_dtype=pl.Int64)
        return torch.from_numpy(found.to_numpy(writable=True))

    def index_any(self, ids: Sequence[ItemId]) -> Tensor:
        """Indices of ``ids`` that may be written as numbers or as text, n for those not known. (R,) int64"""
        written = pl.Series([str(item) for item in ids], dtype=pl.String)
        return self.index(self._as_written(written))

    def ids_of(self, index: Tensor) -> list[ItemId]:
        """The ids of indices (R,)."""
        return self.items.gather(index.tolist()).to_list()

    def digest(self) -> str:
        """A digest of the ids and their order; 1 and "1" are not alike."""
        kind, ids = str(self.items.dtype), self.items.cast(pl.String).to_list()
        return hashlib.sha256("\0".join([kind, *ids]).encode()).hexdigest()

    def _as_written(self, ids: pl.Series) -> pl.Series:
        """Text as ids; null where it is not the shortest writing of an integer and ids are integers."""
        if self.items.dtype == pl.String:
            return ids
        numbers = ids.cast(pl.Int64, strict=False)
        return numbers.set(numbers.cast(pl.String).ne_missing(ids), None)

    def _searched(self, wanted: pl.Series) -> pl.Series:
        """The indices of a few ids, without a table of all ids."""
        items, index = self._sorted
        place = items.search_sorted(wanted).clip(upper_bound=len(self) - 1)
        known = (items.gather(place) == wanted).fill_null(value=False)
        return index.gather(place).cast(pl.Int64).set(~known, len(self))

    @cached_property
    def _sorted(self) -> tuple[pl.Series, pl.Series]:
        """The ids in rising order, and the index of each."""
        index = self.items.arg_sort()
        return self.items.gather(index), index

    @cached_property
    def _indices(self) -> pl.Series:
        return pl.Series(range(len(self)), dtype=pl.Int64)
