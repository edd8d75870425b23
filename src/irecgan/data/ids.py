"""Ids that are floats, or text of floats: what columns of integers with gaps become."""

import polars as pl

from irecgan.data.columns import CLICK, LAST_TOUCHED, SESSION, SLATE, TOUCHES, USER

_LARGEST = 2**53  # beyond it not every integer is a float
_COLUMNS = (SESSION, USER, SLATE, CLICK, LAST_TOUCHED, *TOUCHES)


def are_whole(floats: pl.Series) -> pl.Series:
    """Which of ``floats`` stand for one integer, or for nothing. (bool)"""
    return (((floats % 1 == 0) & (floats.abs() <= _LARGEST)) | floats.is_nan()).fill_null(value=True)


def with_whole_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of ids that are whole floats as integers, to stand beside those of other files."""
    return frame.with_columns(_whole(frame[column]) for column in _COLUMNS if column in frame.columns)


def _whole(ids: pl.Series) -> pl.Series:
    listed = isinstance(ids.dtype, pl.List)
    values = ids.explode() if listed else ids
    if not values.dtype.is_float() or not are_whole(values).all():
        return ids  # whoever checks the ids says what is wrong
    return ids.cast(pl.List(pl.Int64) if listed else pl.Int64, strict=False)


def without_fractions(text: pl.Expr) -> pl.Expr:
    """Text such as ``2.0``, as CSV files hold columns of integers with gaps, in the writing of the integer."""
    return text.str.strip_suffix(".0")
