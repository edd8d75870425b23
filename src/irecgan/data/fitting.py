"""Fitting a `Code` to columns: which they are, of what kind, their means, scales and vocabularies."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from irecgan.data.features import KINDS, Code, Column, Kind, numbers, require, texts
from irecgan.errors import UserError

ALL = "all"
Parts = Callable[[], Iterator[pl.DataFrame]]
"""The rows of a table, some at a time; may be asked for more than once."""

_LEAST = 2  # rows that must have a value, for it to be a feature: one that a single row has is that row's id
_MOST = 10_000  # values of a column that are features, the most frequent ones


@dataclass(frozen=True)
class Wanted:
    """A column that is asked for; ``kind`` None: as its type is."""

    name: str
    kind: Kind | None = None


def parse_wanted(text: str, setting: str) -> tuple[Wanted, ...] | None:
    """Columns written as ``price,brand:category,tags:list``; None for ``all``.

    >>> parse_wanted("price,brand:category", "item_features")
    (Wanted(name='price', kind=None), Wanted(name='brand', kind='category'))

    Raises UserError for an empty or repeated name.
    """
    if text == ALL:
        return None
    wanted = []
    for part in text.split(","):
        name, colon, kind = part.strip().rpartition(":")
        known = [found for found in KINDS if colon and found == kind]
        wanted.append(Wanted(name, known[0]) if known else Wanted(part.strip()))
    names = [column.name for column in wanted]
    if not all(names) or len(set(names)) < len(names):
        raise UserError(f"setting {setting}: found {text!r}; expected names of columns, each once, or {ALL}")
    return tuple(wanted)


def fit(
    parts: Parts, wanted: tuple[Wanted, ...] | None, name: str, *, besides: Iterable[str], own_missing: bool
) -> Code:
    """The code of the ``wanted`` columns of the table called ``name``.

    Args:
        parts: the rows of the training log, or its items.
        wanted: None for all columns but ``besides``; of them those that cannot be features, or tell nothing,
            are left out with a warning.
        name: for messages.
        besides: columns with a meaning of their own, which are no features.
        own_missing: whether "missing" is a feature of its own in columns with nulls; else the average stands for it.

    Raises:
        UserError: a column is missing, has a meaning of its own, is of no kind, holds a value that is not of
            its kind, or tells nothing because all rows have one value.

    """
    head = next(parts())
    reserved = set(besides)
    if wanted is not None:
        require(head, [column.name for column in wanted], name)
        for column in wanted:
            if column.name in reserved:
                raise UserError(f"{name}: column {column.name}: is no feature; it has a meaning of its own")
        return Code(columns=tuple(_fitted(parts, column, name, own_missing) for column in wanted))
    columns = []
    for found in (column for column in head.columns if column not in reserved):
        try:
            columns.append(_fitted(parts, Wanted(found), name, own_missing))
        except _NoFeatureError as reason:
            logging.getLogger("irecgan").warning("%s; left out", reason)
    if not columns:
        raise UserError(
            f"{name}: found no column that can be a feature besides {', '.join(sorted(reserved & set(head.columns)))}"
        )
    return Code(columns=tuple(columns))


class _NoFeatureError(UserError):
    """A column that cannot be a feature, or tells nothing."""


def _fitted(parts: Parts, wanted: Wanted, name: str, own_missing: bool) -> Column:
    kind = wanted.kind or _kind(parts, wanted.name, name)
    fitter = _fitted_number if kind == "number" else _fitted_values
    return fitter(parts, wanted.name, kind, name, own_missing)


def _kind(parts: Parts, column: str, name: str) -> Kind:
    """The kind that the type of a column says; text that is all numbers, as CSV files have it, is numbers."""
    found = next(parts())[column].dtype
    if isinstance(found, pl.List):
        return "list"
    if found.is_numeric():
        return "number"
    if found == pl.String:
        return "number" if all(_all_numbers(part[column]) for part in parts()) else "category"
    if found in (pl.Boolean, pl.Categorical, pl.Enum):
        return "category"
    raise _NoFeatureError(f"{name}: column {column}: found type {found}; expected numbers, text, truths or lists")


def _all_numbers(values: pl.Series) -> bool:
    return values.cast(pl.Float64, strict=False).null_count() == values.null_count()


def _fitted_number(parts: Parts, column: str, kind: Kind, name: str, own_missing: bool) -> Column:
    """Mean and standard deviation, part by part (Chan, Golub and LeVeque, 1983)."""
    rows, known, mean, squares = 0, 0, 0.0, 0.0
    for part in parts():
        values = numbers(part[column], name, rows).drop_nulls()
        rows += len(part)
        if len(values):
            own = float(values.mean())  # type: ignore[arg-type]
            step, total = own - mean, known + len(values)
            squares += float(((values - own) ** 2).sum()) + step**2 * known * len(values) / total
            mean, known = mean + step * len(values) / total, total
    scale = (squares / known) ** 0.5 if known else 0.0
    missing = own_missing and known < rows
    if scale <= 1e-9 * max(1.0, abs(mean)):
        raise _constant(name, column)
    share = (rows - known) / rows
    return Column(
        name=column, kind=kind, mean=mean, scale=scale, missing=missing, average=(0.0, *([share] if missing else []))
    )


def _fitted_values(parts: Parts, column: str, kind: Kind, name: str, own_missing: bool) -> Column:
    """The vocabulary, the most frequent value first."""
    rows, known, found = 0, 0, []
    for part in parts():
        values = texts(part[column], kind, name)
        if part[column].dtype.is_float():
            numbers(part[column], name, rows)
        rows, known = rows + len(values), known + len(values) - values.null_count()
        found.append(_counts(values))
    counts = pl.concat(found).group_by("value").agg(pl.all().sum()).filter(pl.col("rows") >= _LEAST)
    counts = counts.sort(["rows", "value"], descending=[True, False]).head(_MOST)
    missing = own_missing and known < rows
    if counts.filter(pl.col("rows") < known).is_empty() and (counts.is_empty() or not missing):
        raise _constant(name, column)
    base = rows if missing else known
    average = [weight / base for weight in counts["weight"]] + ([(rows - known) / rows] if missing else [])
    return Column(name=column, kind=kind, values=tuple(counts["value"]), missing=missing, average=tuple(average))


def _counts(values: pl.Series) -> pl.DataFrame:
    """How many rows have each value, and with what weight in all."""
    frame = pl.DataFrame({"value": values}).drop_nulls()
    if isinstance(values.dtype, pl.List):
        size = pl.col("value").list.len().cast(pl.Float64)
        frame = frame.with_columns((1 / size.sqrt()).alias("weight")).explode("value")
    else:
        frame = frame.with_columns(pl.lit(1.0).alias("weight"))
    return frame.group_by("value").agg(pl.len().cast(pl.Int64).alias("rows"), pl.col("weight").sum())


def _constant(name: str, column: str) -> _NoFeatureError:
    return _NoFeatureError(
        f"{name}: column {column}: tells nothing; expected values that differ, each on 2 rows or more"
    )
