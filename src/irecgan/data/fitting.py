"""Fitting a `Code` to columns: which they are, of what kind, their means, scales and vocabularies."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from irecgan.data.features import KINDS, Code, Column, Kind, as_truths, can_be, numbers, require, texts
from irecgan.errors import UserError

ALL = "all"
Parts = Callable[[], Iterator[pl.DataFrame]]
"""The rows of a table, some at a time; may be asked for more than once."""

_LEAST = 2  # rows that must have a value, for it to be a feature: one that a single row has is that row's id
_CONSTANT = 1e-9  # of a mean: a spread of no more is rounding
_LARGEST = 1e100  # number of a column: sums of squares stay finite
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
            its kind or is too large, or tells nothing because all rows have one value.

    """
    head, reserved = next(parts()), set(besides)
    asked = [Wanted(column) for column in head.columns if column not in reserved] if wanted is None else wanted
    require(head, [column.name for column in asked], name)
    if own := [column.name for column in asked if column.name in reserved]:
        raise UserError(f"{name}: column {own[0]}: is no feature; it has a meaning of its own")
    columns = []
    for found in _fitted(parts, asked, name, own_missing):
        if isinstance(found, Column):
            columns.append(found)
        elif wanted is None:
            logging.getLogger("irecgan").warning("%s; left out", found)
        else:
            raise UserError(found)
    if not columns:
        others = ", ".join(sorted(reserved & set(head.columns)))
        raise UserError(f"{name}: found no column that can be a feature besides {others}")
    return Code(columns=tuple(columns))


def _fitted(parts: Parts, asked: Sequence[Wanted], name: str, own_missing: bool) -> list[Column | str]:
    """Every column as fitted, or why it is no feature. The rows are read once, and once more to look at text."""
    head = next(parts())
    undecided = [column.name for column in asked if column.kind is None and head.schema[column.name] == pl.String]
    numeric = _texts_of_numbers(parts, undecided)
    fitters: dict[str, _Number | _Values] = {}
    refused: dict[str, str] = {}
    for column in asked:
        kind = "number" if column.name in numeric else column.kind or _kind(head[column.name].dtype)
        if kind is None or not can_be(head[column.name].dtype, kind):
            expected = f"one that can be a {kind}" if column.kind else "numbers, text, truths or lists of these"
            refused[column.name] = (
                f"{name}: column {column.name}: found type {head[column.name].dtype}; expected {expected}"
            )
        else:
            fitters[column.name] = _Number(name) if kind == "number" else _Values(name, kind)
    for part in parts() if fitters else ():
        for column_name, fitter in fitters.items():
            fitter.add(part[column_name])
    nothing = "tells nothing; expected values that differ, each on 2 rows or more"
    fitted = {column: fitter.column(column, own_missing) for column, fitter in fitters.items()}
    said = refused | {column: found or f"{name}: column {column}: {nothing}" for column, found in fitted.items()}
    return [said[column.name] for column in asked]


def _kind(found: pl.DataType) -> Kind | None:
    """The kind that the type of a column says."""
    if isinstance(found, pl.List):
        return "list"
    if found.is_numeric():
        return "number"
    return "category" if found in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) else None


def _texts_of_numbers(parts: Parts, columns: Sequence[str]) -> set[str]:
    """Those of the ``columns`` of text that hold nothing but numbers, as CSV files have them."""
    left = set(columns)
    for part in parts() if columns else ():
        left = {column for column in left if _all_numbers(part[column])}
    return left


def _all_numbers(values: pl.Series) -> bool:
    return values.cast(pl.Float64, strict=False).null_count() == values.null_count()


@dataclass
class _Number:
    """Mean and standard deviation, part by part (Chan, Golub and LeVeque, 1983)."""

    name: str
    rows: int = 0
    known: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, part: pl.Series) -> None:
        values = numbers(part, self.name, self.rows)
        _refuse_beyond(values, self.name, self.rows)
        values = values.drop_nulls()
        self.rows += len(part)
        if len(values):
            own = float(values.mean())  # type: ignore[arg-type]
            step, total = own - self.mean, self.known + len(values)
            self.squares += float(((values - own) ** 2).sum()) + step**2 * self.known * len(values) / total
            self.mean, self.known = self.mean + step * len(values) / total, total

    def column(self, column: str, own_missing: bool) -> Column | None:
        """The column; None where it is constant."""
        scale = (self.squares / self.known) ** 0.5 if self.known else 0.0
        if scale <= _CONSTANT * max(1.0, abs(self.mean)):
            return None
        missing = own_missing and self.known < self.rows
        average = (0.0, (self.rows - self.known) / self.rows) if missing else (0.0,)
        return Column(name=column, kind="number", mean=self.mean, scale=scale, missing=missing, average=average)


def _refuse_beyond(values: pl.Series, name: str, row: int) -> None:
    """Raise UserError for the first of ``values`` whose square would be no number; rows count from ``row`` + 1."""
    beyond = (values.abs() > _LARGEST).fill_null(value=False)
    if beyond.any():
        at = int(beyond.arg_max() or 0)
        raise UserError(
            f"{name}: row {row + at + 1}: column {values.name}: found {values[at]!r}; "
            f"expected a number within +-{_LARGEST:g} or nothing"
        )


@dataclass
class _Values:
    """The vocabulary of categories or lists, part by part; the most frequent value comes first."""

    name: str
    kind: Kind
    rows: int = 0
    known: int = 0
    counts: list[pl.DataFrame] = field(default_factory=list)

    def add(self, part: pl.Series) -> None:
        values = texts(part, self.kind, self.name)
        if part.dtype.is_float():
            numbers(part, self.name, self.rows)
        self.rows, self.known = self.rows + len(values), self.known + len(values) - values.null_count()
        self.counts.append(_counts(values))

    def column(self, column: str, own_missing: bool) -> Column | None:
        """The column; None where no value that is on 2 rows or more makes a difference."""
        counts = pl.concat(self.counts)
        truths = as_truths(counts["value"]) if self.kind == "category" else None
        counts = counts if truths is None else counts.with_columns(truths)
        counts = counts.group_by("value").agg(pl.all().sum()).filter(pl.col("rows") >= _LEAST)
        counts = counts.sort(["rows", "value"], descending=[True, False]).head(_MOST)
        missing = own_missing and self.known < self.rows
        if counts.filter(pl.col("rows") < self.known).is_empty() and (counts.is_empty() or not missing):
            return None
        base = self.rows if missing else self.known
        average = [weight / base for weight in counts["weight"]]
        average += [(self.rows - self.known) / self.rows] if missing else []
        return Column(
            name=column, kind=self.kind, values=tuple(counts["value"]), missing=missing, average=tuple(average)
        )


def _counts(values: pl.Series) -> pl.DataFrame:
    """How many rows have each value, and with what weight in all."""
    frame = pl.DataFrame({"value": values}).drop_nulls()
    if isinstance(values.dtype, pl.List):
        size = pl.col("value").list.len().cast(pl.Float64)
        frame = frame.with_columns((1 / size.sqrt()).alias("weight")).explode("value")
    else:
        frame = frame.with_columns(pl.lit(1.0).alias("weight"))
    return frame.group_by("value").agg(pl.len().cast(pl.Int64).alias("rows"), pl.col("weight").sum())
