"""What users had touched before each list that they were shown."""

import polars as pl

from irecgan.data.columns import CLICK, SESSION, SLATE, TIMESTAMP, TOUCHED_BY_USER, USER
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
    return frame.with_columns(touched_before(timed, timed, USER, TIMESTAMP).alias(TOUCHED_BY_USER))


def touched_before(steps: pl.DataFrame, touches: pl.DataFrame, whose: str, when: str) -> pl.Series:
    """What of the slate of each of ``steps`` had been touched: a list, with an item once for each touch; null for none.

    Touches, with their item in ``click``, count where they are in the same session (``whose`` is its column) or by the
    same user in another one, and ``when`` says that they came before the step. Steps without a user have none.
    """
    keys = [column for column in (USER, SESSION) if column in {SESSION, whose}]
    told = touches.select(*keys, when, pl.col(CLICK).alias("item")).drop_nulls()
    parts = [_touched(part, told, whose, when) for part in slices(steps.select(*keys, when, SLATE))]
    return pl.concat(parts)


def _touched(steps: pl.DataFrame, touches: pl.DataFrame, whose: str, when: str) -> pl.Series:
    steps = steps.with_row_index("row")
    shown = steps.filter(pl.col(whose).is_in(touches[whose].unique().implode())).rename({SLATE: "item"}).explode("item")
    pairs = shown.join(touches, on=[whose, "item"], suffix=" of the touch")
    before = pairs.filter(pl.col(f"{when} of the touch") < pl.col(when))
    if whose != SESSION:
        before = before.filter(pl.col(f"{SESSION} of the touch") != pl.col(SESSION))
    lists = before.sort("row", f"{when} of the touch", maintain_order=True).group_by("row").agg("item")
    return steps.join(lists, on="row", how="left", maintain_order="left")["item"]
