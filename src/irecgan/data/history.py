"""What users had touched before each list that they were shown."""

import polars as pl

from irecgan.data.columns import CLICK, SESSION, SLATE, TIMESTAMP, TOUCHED_BETWEEN, TOUCHED_BY_USER, USER
from irecgan.data.slices import slices
from irecgan.data.validation import A_TIME, parsed_times
from irecgan.errors import UserError


def with_user_history(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """The steps of a log with ``touched_by_user``: of each slate, what the user clicked earlier in other sessions.

    Raises UserError, with the ``name`` of the log, where it lacks users or times, or a time is none.
    """
    missing = [column for column in (USER, TIMESTAMP) if column not in frame.columns]
    if missing:
        raise UserError(f"{name}: missing column {missing[0]}; it is needed to know the earlier sessions of a user")
    times, wrong = parsed_times(frame[TIMESTAMP], name)
    wrong |= times.is_null()
    for session, found in frame.filter(wrong).select(SESSION, TIMESTAMP).head(1).iter_rows():
        place = f"{name}: session {session}: column {TIMESTAMP}"
        raise UserError(f"{place}: found {found!r}; expected {A_TIME} on every row")
    timed = frame.with_columns(times)
    return frame.with_columns(touched_by_user(timed, timed))


def touched_by_user(steps: pl.DataFrame, touches: pl.DataFrame) -> pl.Series:
    """What of the slate of each of ``steps`` its user had touched before in other sessions, once for each touch.

    A list, null for none. Both have users, sessions and times; the item of a touch is its ``click``. Nothing is known
    of steps without a user.
    """
    told = touches.select(USER, SESSION, TIMESTAMP, pl.col(CLICK).alias("item")).drop_nulls()
    parts = [_touched(part, told) for part in slices(steps.select(USER, SESSION, TIMESTAMP, SLATE))]
    return pl.concat(parts).alias(TOUCHED_BY_USER)


def _touched(steps: pl.DataFrame, touches: pl.DataFrame) -> pl.Series:
    steps = steps.with_row_index("row")
    shown = steps.filter(pl.col(USER).is_in(touches[USER].unique().implode())).rename({SLATE: "item"}).explode("item")
    pairs = shown.join(touches, on=[USER, "item"], suffix=" of touch")
    before = pl.col(f"{TIMESTAMP} of touch") < pl.col(TIMESTAMP)
    apart = pl.col(f"{SESSION} of touch") != pl.col(SESSION)
    lists = pairs.filter(before & apart).sort("row", "item").group_by("row").agg("item")
    return steps.join(lists, on="row", how="left", maintain_order="left")["item"]


def touched_between(actions: pl.DataFrame, step: pl.Expr, touch: pl.Expr) -> pl.DataFrame:
    """The steps among ``actions`` with ``touched_between``: what was touched since the step before; null for nothing.

    Actions of a session are in order; which of them are a ``step``, and which of the others a ``touch`` of the item in
    ``click``, is said by Booleans.
    """
    ahead = step.cast(pl.Int64).cum_sum(reverse=True).over(SESSION)  # the same for a step and what comes before it
    marked = actions.with_columns(ahead=ahead)
    touches = (
        marked.filter(touch & ~step)
        .group_by(SESSION, "ahead", maintain_order=True)
        .agg(pl.col(CLICK).alias(TOUCHED_BETWEEN))
    )
    return marked.filter(step).join(touches, on=[SESSION, "ahead"], how="left", maintain_order="left").drop("ahead")
