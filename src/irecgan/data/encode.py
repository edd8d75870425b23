"""From a session log to encoded sessions."""

import logging
from collections.abc import Iterator

import polars as pl
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import (
    CLICK,
    LAST_TOUCHED,
    PROPENSITY,
    REWARD,
    SESSION,
    SLATE,
    TOUCHED_BETWEEN,
    TOUCHED_BY_USER,
    TOUCHES,
)
from irecgan.data.features import Code
from irecgan.data.history import handed_on
from irecgan.data.log import Log
from irecgan.data.ragged import offsets
from irecgan.data.slices import counts_in, ranks_in_slate
from irecgan.data.sparse import SparseRows


def encode(
    log: Log,
    catalogue: Catalogue,
    *,
    final_slates: bool | None = None,
    context: Code | None = None,
    warns: bool = True,
) -> Sessions:
    """The sessions of ``log`` as tensors, in the order of the log.

    The last step of a session, if nothing was clicked, is its end step (``c_end``). Steps in mid-session in which
    nothing was clicked are left out (the paper's assumption 1), with a warning that counts them if it ``warns``.

    ``final_slates``: whether the log shows the slates at which users left; by default if it does, see
    `irecgan.data.log.Ends`. A session whose last step is a click was then cut off, and has no end step.
    Otherwise no end step keeps its slate, so that a discriminator cannot tell sessions apart by that, and a
    session whose last step is a click gets an end step too, because its end has to be learnt.

    ``context``: the code of the context columns that are read. An end step that was not logged has the context
    of the step before: one that is missing there would give the end away.

    Raises UserError when the log lacks a context column, or a value is not of its kind.
    """
    parts = encoded_parts(log, catalogue, final_slates=final_slates, context=context, warns=warns)
    return Sessions.concat(list(parts))


def encoded_parts(
    log: Log,
    catalogue: Catalogue,
    *,
    final_slates: bool | None = None,
    context: Code | None = None,
    warns: bool = True,
) -> Iterator[Sessions]:
    """The sessions of `encode`, some thousands at a time: what is made on the way never exists for all at once."""
    keep = log.ends_unclicked if final_slates is None else final_slates
    if warns and (skipped := log.skipped):
        logging.getLogger("irecgan").warning(
            "%s: %d steps in mid-session without a click are left out", log.name, skipped
        )
    done = 0
    for part in log.parts():
        rows = None if context is None else context.encode(part, log.name, done)
        yield _encoded(part, catalogue, keep_slates=keep, context=rows)
        done += len(part)


def _encoded(part: pl.DataFrame, catalogue: Catalogue, *, keep_slates: bool, context: SparseRows | None) -> Sessions:
    """Whole sessions as tensors. ``context``: of each row of ``part``."""
    frame = _with_end_steps(_without_skips(part), keep_slates)
    lengths = frame["session"].rle().struct.field("len")
    sizes = frame[SLATE].list.len()
    known = frame[CLICK].is_not_null()
    items = catalogue.index(frame[SLATE].filter(sizes > 0).explode())
    return Sessions(
        step_start=offsets(_tensor(lengths.cast(pl.Int64))),
        item_start=offsets(_tensor(sizes.cast(pl.Int64))),
        item=items,
        click=torch.where(_tensor(known), catalogue.index(frame[CLICK]), len(catalogue)),
        position=_tensor(frame["position"]),
        reward=_tensor(frame[REWARD].cast(pl.Float32)),
        propensity=_tensor(frame[PROPENSITY].cast(pl.Float32)),
        score=torch.ones(len(frame)),
        catalogue_size=len(catalogue),
        touched=_tensor(frame["touched"]),
        context=None if context is None else context.select(_tensor(frame["row"])),
        looks=_looks(frame, catalogue),
        visits=_visits(frame),
    )


def _without_skips(part: pl.DataFrame) -> pl.DataFrame:
    session = pl.col(SESSION)
    frame = part.select(
        SLATE,
        CLICK,
        REWARD,
        (pl.col(PROPENSITY) if PROPENSITY in part.columns else pl.lit(None)).alias(PROPENSITY),
        _last_touched(part).alias(LAST_TOUCHED),
        *(column for column in TOUCHES if column in part.columns),
        row=pl.int_range(pl.len()),
        session=session.rle_id(),
        last=(session != session.shift(-1)).fill_null(True),
    )
    stays = frame[CLICK].is_not_null() | frame["last"]
    if stays.all() or TOUCHED_BETWEEN not in frame.columns:
        return frame.filter(stays)
    return handed_on(frame, stays, "session")


def _last_touched(part: pl.DataFrame) -> pl.Expr:
    """The item touched last before each step: by the log's own account, else the one that is known to be."""
    if LAST_TOUCHED in part.columns:
        return pl.col(LAST_TOUCHED)
    if TOUCHED_BETWEEN not in part.columns:
        return pl.col(CLICK).forward_fill().shift(1).over(SESSION)
    looked = pl.col(TOUCHED_BETWEEN).list.last()
    return pl.coalesce(looked, pl.coalesce(CLICK, looked).forward_fill().shift(1).over(SESSION))


def _with_end_steps(frame: pl.DataFrame, keep_slates: bool) -> pl.DataFrame:
    """End steps as `encode` has them; in every slate the ranks of the click and of the item touched last."""
    frame = frame.with_columns(
        pl.col(PROPENSITY).cast(pl.Float64).fill_null(float("nan")),
        position=_rank(frame, CLICK),
    )
    if not keep_slates:
        frame = _with_blank_ends(frame)
    return frame.with_columns(touched=_rank(frame, LAST_TOUCHED))


def _with_blank_ends(frame: pl.DataFrame) -> pl.DataFrame:
    """An end step without a slate at the end of every session."""
    clicked_last = frame.filter(pl.col("last") & pl.col(CLICK).is_not_null())
    blank = pl.lit([], dtype=frame.schema[SLATE])
    ends = clicked_last.with_columns(
        pl.lit(None, dtype=frame.schema[CLICK]).alias(CLICK),
        pl.lit(0.0).alias(REWARD),
        pl.lit(float("nan")).alias(PROPENSITY),
        pl.lit(NOTHING, dtype=pl.Int64).alias("position"),
        *(pl.lit(None, dtype=kind).alias(column) for column, kind in frame.schema.items() if column in TOUCHES),
    )
    whole = pl.concat([frame, ends]).sort("session", maintain_order=True)
    return whole.with_columns(pl.when(pl.col(CLICK).is_null()).then(blank).otherwise(pl.col(SLATE)).alias(SLATE))


def _looks(frame: pl.DataFrame, catalogue: Catalogue) -> SparseRows | None:
    """The known items that were touched since the step before; None where that is not told."""
    if TOUCHED_BETWEEN not in frame.columns:
        return None
    told = frame[TOUCHED_BETWEEN].fill_null([])
    sizes = told.list.len()
    item = catalogue.index(told.filter(sizes > 0).explode())
    step = torch.arange(len(frame)).repeat_interleave(_tensor(sizes.cast(pl.Int64)))
    known = item < len(catalogue)
    return SparseRows.marks(step[known], item[known], len(frame))


def _visits(frame: pl.DataFrame) -> Tensor | None:
    """How often each item shown was touched in earlier sessions. (M,) int32; None where that is not told"""
    return _tensor(counts_in(frame, TOUCHED_BY_USER).cast(pl.Int32)) if TOUCHED_BY_USER in frame.columns else None


def _rank(frame: pl.DataFrame, column: str) -> pl.Series:
    """The rank of the item in ``column`` in its slate, from 0; NOTHING where there is none or it is not shown."""
    return ranks_in_slate(frame, column).fill_null(NOTHING)


def _tensor(series: pl.Series) -> Tensor:
    return torch.from_numpy(series.to_numpy(writable=True))
