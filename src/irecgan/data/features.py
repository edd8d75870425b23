"""Columns of items and of steps as features that models embed: names, what was fitted, and rows in that code."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import polars as pl
import torch
from polars.datatypes import DataTypeClass
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from irecgan.data.columns import listed
from irecgan.data.ragged import offsets
from irecgan.data.sparse import SparseRows
from irecgan.errors import UserError

Kind = Literal["number", "category", "list"]
KINDS: tuple[Kind, ...] = ("number", "category", "list")
Finite = Annotated[float, Field(allow_inf_nan=False)]
Value = str | float | Sequence[str]
"""Of a column, as a caller may give it: a text, a number or a truth, or several texts."""

_LARGEST = 5.0
"""Standard deviations at which numbers are cut: one absurd price must not decide."""
_ROW, _FEATURE, _WEIGHT = "row", "feature", "weight"


class Column(BaseModel):
    """One column and what was fitted to it. Its features: the number, or one for each value; then "missing".

    A number is standardised by ``mean`` and ``scale`` and cut at +-5. A category is the feature of its value with
    weight 1, a list those of its different values with weight 1 / root of their number. Where all values are truths,
    ``True``, ``TRUE`` and ``true`` are one. ``average`` holds the mean weight of each feature over the rows it was
    fitted to: what stands for a value that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    mean: Finite = 0.0
    scale: Annotated[Finite, Field(gt=0)] = 1.0
    values: tuple[str, ...] = ()
    missing: bool = False  # whether "missing" is a feature of its own
    average: tuple[Finite, ...]  # of each feature

    @property
    def features(self) -> int:
        """The number of its features."""
        return (1 if self.kind == "number" else len(self.values)) + self.missing


class Code(BaseModel):
    """How columns become features 0 .. F - 1, and after them, as F .. F + C - 1, the average of each of C columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    @cached_property
    def features(self) -> int:
        """F."""
        return sum(column.features for column in self.columns)

    @property
    def averages(self) -> Tensor:
        """The mean weight of every feature over the rows of the training log, for each column its own. (C, F)"""
        found = torch.zeros(len(self.columns), self.features, device="cpu")
        for row, (first, column) in enumerate(self._placed()):
            found[row, first : first + column.features] = torch.tensor(column.average, device="cpu")
        return found

    def average(self, rows: int) -> SparseRows:
        """``rows`` rows of which nothing is known."""
        columns = torch.arange(len(self.columns))
        return SparseRows.repeated(self.features + columns, torch.ones(len(columns)), rows)

    def encode(self, frame: pl.DataFrame, name: str, row: int = 0) -> SparseRows:
        """The rows of ``frame``; a null is the column's feature "missing", a value never seen its average.

        Raises UserError, with the frame's ``name``, for a missing column or a value of another kind; rows in messages
        count from ``row`` + 1.
        """
        require(frame, self.names, name)
        parts = [
            _entries(frame[column.name], column, (first, self.features + place), name, row)
            for place, (first, column) in enumerate(self._placed())
        ]
        entries = pl.concat(parts).sort(_ROW, maintain_order=True)
        counts = torch.bincount(_tensor(entries[_ROW]), minlength=len(frame))
        return SparseRows(offsets(counts), _tensor(entries[_FEATURE]), _tensor(entries[_WEIGHT]))

    def encode_values(self, values: Mapping[str, Value], option: str) -> SparseRows:
        """One row of ``values``; columns that are not given are missing.

        Raises UserError, with the ``option``, for a column that is not in the code or a value of another kind.
        """
        if unknown := values.keys() - set(self.names):
            raise UserError(f"{option}: found {sorted(unknown)[0]!r}; expected one of {', '.join(self.names)}")
        return self.encode(pl.DataFrame([_one_value(name, values.get(name)) for name in self.names]), option)

    def _placed(self) -> Iterator[tuple[int, Column]]:
        """Every column with its first feature."""
        first = 0
        for column in self.columns:
            yield first, column
            first += column.features


def require(frame: pl.DataFrame, columns: list[str], name: str) -> None:
    """Raise UserError where ``frame``, called ``name``, lacks one of ``columns``."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"{name}: missing column {', '.join(missing)}; found columns {listed(frame.columns)}")


def can_be(found: pl.DataType, kind: Kind) -> bool:
    """Whether a column of type ``found`` can be of ``kind``; text can be any, if all of it is numbers a number."""
    if kind == "number":
        return found.is_numeric() or found in (pl.String, pl.Boolean)
    inner = found.inner if isinstance(found, pl.List) and kind == "list" else found
    return inner.is_numeric() or inner in (pl.String, pl.Categorical, pl.Enum, pl.Boolean)


def numbers(values: pl.Series, name: str, row: int = 0) -> pl.Series:
    """``values`` as Float64. Raises UserError for the first that is no finite number; rows count from ``row`` + 1."""
    _expect_kind(values, "number", name)
    cast = values.cast(pl.Float64, strict=False)
    wrong = values.is_not_null() & ~cast.is_finite().fill_null(value=False)
    if wrong.any():
        at = int(wrong.arg_max() or 0)
        raise UserError(
            f"{name}: row {row + at + 1}: column {values.name}: found {values[at]!r}; "
            "expected a finite number or nothing"
        )
    return cast


def texts(values: pl.Series, kind: Kind, name: str) -> pl.Series:
    """Categories as String, lists as lists of their different values; empty ones are null.

    Whole numbers are written without a fraction: they are floats where others of the column are missing. Text becomes
    a list at its spaces. Raises UserError where the type is none of these.
    """
    _expect_kind(values, kind, name)
    if kind == "category":
        text = values.to_frame().select(_written(pl.first(), values.dtype)).to_series()
        return text.set(text.str.strip_chars() == "", None)
    if not isinstance(values.dtype, pl.List):
        values = texts(values, "category", name).str.strip_chars().str.split(" ")
    assert isinstance(values.dtype, pl.List)
    written = values.list.eval(_written(pl.element(), values.dtype.inner))
    lists = written.list.drop_nulls().list.unique(maintain_order=True)
    lists = lists.list.eval(pl.element().filter(pl.element().str.strip_chars() != ""))
    return lists.set((lists.list.len() == 0).fill_null(value=False), None)


def as_truths(text: pl.Series) -> pl.Series | None:
    """``text`` in lower case, as truths are written, where all of it is true and false in whatever case; else None."""
    lower = text.str.to_lowercase()
    return lower if lower.is_in(["true", "false"]).all() else None


def _written(value: pl.Expr, found: pl.DataType | DataTypeClass) -> pl.Expr:
    """``value``, of type ``found``, as text."""
    text = value.cast(pl.String)
    if not found.is_float():
        return text
    whole = value.cast(pl.Int64, strict=False)
    return pl.when(whole == value).then(whole.cast(pl.String)).otherwise(text)


def _one_value(name: str, value: Value | None) -> pl.Series:
    if value is None or isinstance(value, str):
        return pl.Series(name, [value], dtype=pl.String)
    if isinstance(value, Sequence):
        return pl.Series(name, [list(map(str, value))], dtype=pl.List(pl.String))
    return pl.Series(name, [value])


def _expect_kind(values: pl.Series, kind: Kind, name: str) -> None:
    if values.dtype != pl.Null and not can_be(values.dtype, kind):
        raise UserError(f"{name}: column {values.name}: found type {values.dtype}; expected one that can be a {kind}")


def _entries(values: pl.Series, column: Column, place: tuple[int, int], name: str, before: int) -> pl.DataFrame:
    """The features of each row of a column: (row, feature, weight). ``place``: its first feature, and its average."""
    first, average = place
    row = pl.int_range(len(values), eager=True, dtype=pl.Int64).alias(_ROW)
    if column.kind == "number":
        weight = (numbers(values, name, before) - column.mean) / column.scale
        known = pl.DataFrame({_ROW: row, _FEATURE: first, _WEIGHT: weight.clip(-_LARGEST, _LARGEST)}).drop_nulls()
    else:
        found = texts(values, column.kind, name)
        known = _known_values(found, row, column, first)
    null = values.is_null() if column.kind == "number" else found.is_null()
    rest = pl.DataFrame({_ROW: row, "null": null}).join(known, on=_ROW, how="anti")
    own = first + column.features - 1 if column.missing else average
    rest = rest.select(
        _ROW,
        pl.when("null").then(pl.lit(own)).otherwise(pl.lit(average)).cast(pl.Int64).alias(_FEATURE),
        pl.lit(1.0).alias(_WEIGHT),
    )
    types: Any = {_ROW: pl.Int64, _FEATURE: pl.Int64, _WEIGHT: pl.Float32}
    return pl.concat([part.cast(types) for part in (known, rest)])


def _known_values(found: pl.Series, row: pl.Series, column: Column, first: int) -> pl.DataFrame:
    """The entries of the values that have a feature."""
    values = pl.Series(column.values, dtype=pl.String)
    truths = as_truths(values) if column.kind == "category" else None
    if truths is not None and not truths.is_duplicated().any():
        values, found = truths, found.str.to_lowercase()
    frame = pl.DataFrame({_ROW: row, _FEATURE: found})
    if column.kind == "list":
        size = found.list.len().cast(pl.Float64)
        frame = frame.with_columns((1 / size.sqrt()).alias(_WEIGHT)).explode(_FEATURE)
    else:
        frame = frame.with_columns(pl.lit(1.0).alias(_WEIGHT))
    index = pl.int_range(first, first + len(column.values), eager=True, dtype=pl.Int64)
    code = frame[_FEATURE].replace_strict(values, index, default=None, return_dtype=pl.Int64)
    return frame.with_columns(code.alias(_FEATURE)).drop_nulls()


def _tensor(series: pl.Series) -> Tensor:
    return torch.from_numpy(series.to_numpy(writable=True))
