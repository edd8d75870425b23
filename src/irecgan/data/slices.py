"""Looking at a large frame part by part, so that what is made of every item shown never exists for all rows at once."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl

from irecgan.data.columns import SESSION, SLATE

SLICE = 500_000
"""Rows looked at at once."""


def slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Parts of ``frame`` of SLICE rows, without copies; the last may be shorter."""
    return frame.iter_slices(SLICE)


def chosen(frame: pl.DataFrame, rows: pl.Series) -> Iterator[pl.LazyFrame]:
    """The ``rows`` (Boolean) of each part of ``frame``, see `slices`; they are copied when they are collected."""
    for part, stay in zip(slices(frame), slices(rows.to_frame()), strict=True):
        yield part.lazy().filter(stay.to_series())


def session_slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Parts of ``frame`` of whole sessions, each of SLICE rows or as many as its last one needs.

    The rows of a session are adjacent.
    """
    starts = session_starts(frame).append(pl.Series([len(frame)], dtype=pl.UInt32))
    begin = 0
    while begin < len(frame):
        end = starts[int(starts.search_sorted(min(begin + SLICE, len(frame))))]
        yield frame[begin:end]
        begin = end


def session_starts(frame: pl.DataFrame) -> pl.Series:
    """The rows at which sessions begin, where the rows of a session are adjacent. UInt32"""
    session = frame[SESSION]
    return (session.ne_missing(session.shift()) | (pl.int_range(len(session), eager=True) == 0)).arg_true()


def per_session(frame: pl.DataFrame, rows: pl.Series) -> pl.Series:
    """How many of ``rows`` (Boolean) each session has, where the rows of a session are adjacent. Int64"""
    starts = session_starts(frame)
    before = rows.cast(pl.Int64).cum_sum().shift(1, fill_value=0).gather(starts)
    return before.extend_constant(int(rows.sum()), 1).diff(null_behavior="drop")


def mapped(frame: pl.DataFrame, work: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """``work`` done slice by slice; the frame itself where it changes none of them."""
    parts = [(part, work(part)) for part in slices(frame)]
    if all(done is part for part, done in parts):
        return frame
    return pl.concat([done for _, done in parts])


def items_shown(frame: pl.DataFrame, rows: pl.Series | None = None) -> pl.Series:
    """The different items of all slates, or of those of ``rows`` (Boolean), rising."""
    parts = slices(frame) if rows is None else (part.collect() for part in chosen(frame, rows))
    return distinct([frame[SLATE][:0].explode(), *(part[SLATE].explode().drop_nulls().unique() for part in parts)])


def distinct(parts: Sequence[pl.Series]) -> pl.Series:
    """The different values of all ``parts``, rising."""
    return pl.concat(parts).unique().sort()


def ranks_in_slate(frame: pl.DataFrame, column: str) -> pl.Series:
    """The rank of the item in ``column`` in its slate, from 0; null where there is none or it is not shown. Int64"""
    sizes = frame[SLATE].list.len().cast(pl.Int64)
    row = np.repeat(np.arange(len(frame)), sizes.to_numpy())
    shown = frame[SLATE].filter(sizes > 0).explode()
    entry = (shown == frame[column].gather(row)).fill_null(False).arg_true().to_numpy()
    ranks = np.full(len(frame), -1)
    ranks[row[entry]] = entry - (sizes.cum_sum() - sizes).to_numpy()[row[entry]]
    return pl.Series(column, ranks).replace(-1, None)


def counts_in(frame: pl.DataFrame, column: str) -> pl.Series:
    """How often each item shown stands in the list in ``column`` of its row: one number for each, row by row. UInt32"""
    rows = pl.int_range(pl.len()).alias("row")
    told = frame.select(rows, pl.col(column).alias("item")).filter(pl.col("item").list.len() > 0).explode("item")
    shown = frame.select(rows, pl.col(SLATE).alias("item")).filter(pl.col("item").list.len() > 0).explode("item")
    counts = told.group_by("row", "item").agg(pl.len().alias(column))
    return shown.join(counts, on=["row", "item"], how="left", maintain_order="left")[column].fill_null(0)
