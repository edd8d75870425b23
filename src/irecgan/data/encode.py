"""From a session log to encoded sessions."""

import logging

import polars as pl
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import CLICK, LAST_TOUCHED, PROPENSITY, REWARD, SESSION, SLATE
from irecgan.data.log import SessionLog


def encode(log: SessionLog, catalogue: Catalogue, *, final_slates: bool | None = None) -> Sessions:
    """The sessions of ``log`` as tensors, in the order of the log.

    The last step of a session, if nothing was clicked, is its end step (``c_end``). A session whose last
    step is a click gets an end step without a slate, because its end has to be learnt too. Steps in
    mid-session in which nothing was clicked are left out (the paper's assumption 1), with a warning that
    counts them.

    ``final_slates``: whether end steps keep their slates; by default when every session of the log has
    one. Otherwise none keeps it, so that a discriminator cannot tell sessions apart by that.
    """
    keep = log.ends_unclicked if final_slates is None else final_slates
    frame = _with_end_steps(_without_skips(log), keep)
    lengths = frame.group_by(SESSION, maintain_order=True).len()["len"]
    sizes = frame[SLATE].list.len()
    known = frame[CLICK].is_not_null()
    items = catalogue.index(frame.filter(sizes > 0)[SLATE].explode())
    return Sessions(
        step_start=_offsets(lengths),
        item_start=_offsets(sizes),
        item=items,
        click=torch.where(_tensor(known), catalogue.index(frame[CLICK]), len(catalogue)),
        position=_tensor(frame["position"]),
        reward=_tensor(frame[REWARD].cast(pl.Float32)),
        propensity=_tensor(frame[PROPENSITY].cast(pl.Float32)),
        score=torch.ones(len(frame)),
        catalogue_size=len(catalogue),
        touched=_tensor(frame["touched"]),
    )


def _without_skips(log: SessionLog) -> pl.DataFrame:
    frame = log.frame.select(
        SESSION,
        SLATE,
        CLICK,
        REWARD,
        (pl.col(PROPENSITY) if PROPENSITY in log.frame.columns else pl.lit(None)).alias(PROPENSITY),
        _last_touched(log).alias(LAST_TOUCHED),
        last=pl.int_range(pl.len()).over(SESSION) == pl.len().over(SESSION) - 1,
    )
    skipped = frame[CLICK].is_null() & ~frame["last"]
    if skipped.any():
        logging.getLogger("irecgan").warning(
            "%s: %d steps in mid-session without a click are left out", log.name, skipped.sum()
        )
    return frame.filter(~skipped)


def _last_touched(log: SessionLog) -> pl.Expr:
    """The item touched last before each step: by the log's own account, else the one clicked last."""
    if LAST_TOUCHED in log.frame.columns:
        return pl.col(LAST_TOUCHED)
    return pl.col(CLICK).forward_fill().shift(1).over(SESSION)


def _with_end_steps(frame: pl.DataFrame, keep_slates: bool) -> pl.DataFrame:
    """One end step at the end of every session; in every slate the ranks of the click and of the item touched last."""
    frame = frame.with_columns(
        pl.col(PROPENSITY).cast(pl.Float64).fill_null(float("nan")),
        position=_rank(frame, CLICK),
        session=pl.col(SESSION).rle_id(),
    )
    silent = frame.filter(pl.col("last") & pl.col(CLICK).is_not_null())
    ends = silent.with_columns(
        pl.lit(None, dtype=frame.schema[CLICK]).alias(CLICK),
        pl.lit([], dtype=frame.schema[SLATE]).alias(SLATE),
        pl.lit(0.0).alias(REWARD),
        pl.lit(float("nan")).alias(PROPENSITY),
        pl.lit(NOTHING, dtype=pl.Int64).alias("position"),
    )
    whole = pl.concat([frame, ends]).sort("session", maintain_order=True)
    if not keep_slates:
        blank = pl.lit([], dtype=frame.schema[SLATE])
        whole = whole.with_columns(pl.when(pl.col(CLICK).is_null()).then(blank).otherwise(pl.col(SLATE)).alias(SLATE))
    return whole.with_columns(touched=_rank(whole, LAST_TOUCHED))


def _rank(frame: pl.DataFrame, column: str) -> pl.Series:
    """The rank of the item in ``column`` in its slate, from 0; NOTHING where there is none or it is not shown."""
    shown = frame.select(SLATE, column).with_row_index("at").explode(SLATE)
    ranked = shown.with_columns(rank=pl.int_range(pl.len()).over("at")).filter(pl.col(SLATE) == pl.col(column))
    rows = frame.select(at=pl.int_range(pl.len(), dtype=pl.UInt32))
    return rows.join(ranked, on="at", how="left", maintain_order="left")["rank"].fill_null(NOTHING).cast(pl.Int64)


def _offsets(counts: pl.Series) -> Tensor:
    total = _tensor(counts.cast(pl.Int64)).cumsum(0)
    return torch.cat([total.new_zeros(1), total])


def _tensor(series: pl.Series) -> Tensor:
    return torch.from_numpy(series.to_numpy(writable=True))
