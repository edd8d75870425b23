"""What users had touched before each list that they were shown."""

import polars as pl

from irecgan.data.columns import CLICK, SESSION, SLATE, TIMESTAMP, TOUCHED_BETWEEN, TOUCHED_BY_USER, USER
from irecgan.data.slices import slices
from irecgan.data.validation import every_time
from irecgan.errors import UserError

_MOST = 20
"""Touches of an item that are told of at most, in the lists of one step: what they say grows with their logarithm."""
_TOUCHES = "touches"


def with_user_history(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """The steps of a log with ``touched_by_user``: of each slate, what the user clicked or touched in earlier sessions.

    Touches are those of ``touched_between``, if the log has them, at the time of their step. Raises UserError, with the
    ``name`` of the log, where it lacks users or times, or a time is none.
    """
    missing = [column for column in (USER, TIMESTAMP) if column not in frame.columns]
    if missing:
        raise UserError(f"{name}: missing column {missing[0]}; it is needed to know the earlier sessions of a user")
    timed = frame.with_columns(every_time(frame, TIMESTAMP, name))
    touches = [timed.select(USER, SESSION, TIMESTAMP, CLICK)]
    if TOUCHED_BETWEEN in frame.columns:
        looks = timed.select(USER, SESSION, TIMESTAMP, pl.col(TOUCHED_BETWEEN).alias(CLICK))
        touches.append(looks.filter(pl.col(CLICK).list.len() > 0).explode(CLICK))
    return frame.with_columns(touched_by_user(timed, pl.concat(touches)))


def touched_by_user(steps: pl.DataFrame, touches: pl.DataFrame) -> pl.Series:
    """What of the slate of each of ``steps`` its user had touched before in other sessions, once for each touch.

    A list, null for none. Both have users, sessions and times; the item of a touch is its ``click``. Nothing is known
    of steps without a user.
    """
    told = touches.select(USER, SESSION, TIMESTAMP, pl.col(CLICK).alias("item")).drop_nulls().sort(TIMESTAMP)
    by_user, by_session = (_counted(told, keys) for keys in ([USER, "item"], [USER, SESSION, "item"]))
    parts = [_touched(part, by_user, by_session) for part in slices(steps.select(USER, SESSION, TIMESTAMP, SLATE))]
    return pl.concat(parts).alias(TOUCHED_BY_USER)


def _counted(touches: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The times of ``touches``, rising, with how many there were of their ``keys`` by then."""
    return touches.select(*keys, TIMESTAMP, pl.int_range(1, pl.len() + 1).over(keys).alias(_TOUCHES))


def _touched(steps: pl.DataFrame, by_user: pl.DataFrame, by_session: pl.DataFrame) -> pl.Series:
    """The lists of some ``steps``, from the counts of `_counted`."""
    steps = steps.with_row_index("row")
    known = by_user.select(USER, "item").unique()
    shown = steps.join(known.select(USER).unique(), on=USER, how="semi").rename({SLATE: "item"}).explode("item")
    shown = shown.join(known, on=[USER, "item"], how="semi").sort(TIMESTAMP)
    shown = _with_count_before(shown, by_user, [USER, "item"], "all")
    shown = _with_count_before(shown, by_session, [USER, SESSION, "item"], "own")
    times = (pl.col("all") - pl.col("own")).clip(0, _MOST)
    lists = shown.sort("row", "item").select("row", pl.col("item").repeat_by(times)).explode("item").drop_nulls()
    lists = lists.group_by("row", maintain_order=True).agg("item")
    return steps.join(lists, on="row", how="left", maintain_order="left")["item"]


def _with_count_before(shown: pl.DataFrame, counts: pl.DataFrame, keys: list[str], name: str) -> pl.DataFrame:
    """``shown``, by rising time, with the last of ``counts`` of the same ``keys`` before it; 0 where there is none."""
    found = shown.join_asof(counts, on=TIMESTAMP, by=keys, allow_exact_matches=False, check_sortedness=False)
    return found.rename({_TOUCHES: name}).with_columns(pl.col(name).fill_null(0))


def touched_between(actions: pl.DataFrame, step: pl.Expr, touch: pl.Expr) -> pl.DataFrame:
    """The steps among ``actions`` with ``touched_between``: what was touched since the step before; null for nothing.

    Actions of a session are in order; which of them are a ``step``, and which of the others a ``touch`` of the item in
    ``click``, is said by Booleans.
    """
    touched = pl.when(touch & ~step).then(pl.concat_list(CLICK))
    told = actions.with_columns(touched.alias(TOUCHED_BETWEEN))
    return handed_on(told, told.select(step.alias("step"))["step"], SESSION)


def handed_on(frame: pl.DataFrame, stays: pl.Series, session: str) -> pl.DataFrame:
    """The rows of ``frame`` that ``stays`` marks, each with what was touched since the one before that stays.

    So ``touched_between`` of rows that go is not lost, but for those after the last of a session. ``session``: the name
    of the column of sessions.
    """
    numbered = frame.with_columns(stays.alias("stays"))  # a row and those left out before it have one number
    numbered = numbered.with_columns(ahead=pl.col("stays").cast(pl.Int64).cum_sum(reverse=True).over(session))
    looks = numbered.select(session, "ahead", TOUCHED_BETWEEN).filter(pl.col(TOUCHED_BETWEEN).list.len() > 0)
    together = (
        looks.explode(TOUCHED_BETWEEN).drop_nulls().group_by(session, "ahead", maintain_order=True).agg(TOUCHED_BETWEEN)
    )
    kept = numbered.drop(TOUCHED_BETWEEN).filter("stays")
    return kept.join(together, on=[session, "ahead"], how="left", maintain_order="left").drop("stays", "ahead")
