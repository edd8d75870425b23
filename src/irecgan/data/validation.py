"""The rules of a session log, each checked over whole columns; a breach names file, row and column."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain

import polars as pl

from irecgan.data.columns import (
    CLICK,
    FILE,
    LAST_TOUCHED,
    PROPENSITY,
    REWARD,
    ROW,
    ROW_IN_FILE,
    SESSION,
    SLATE,
    STEP,
    TIMESTAMP,
    TOUCHES,
    USER,
    listed,
)
from irecgan.data.ids import are_whole, without_fractions
from irecgan.data.slices import session_starts, slices
from irecgan.errors import UserError

Rule = tuple[str, pl.Expr, str]
Reading = tuple[tuple[str, ...], Callable[[pl.DataFrame], pl.DataFrame]]

_ONCE = "no item twice"
_INSIDE = "an item of the slate, or nothing"
_MENDABLE = (_ONCE, _INSIDE)
_INSIDE_SLATE = pl.col(SLATE).list.contains(pl.col(CLICK))
TEXT = (pl.String, pl.Categorical, pl.Enum, pl.Null)
"""Types of columns that are text, or hold nothing."""
_WORDS = ("None", "NaN", "nan", "null", "NULL", "NA", "<NA>")  # that other programs write for nothing
A_TIME = "a number, or an ISO date such as 2024-12-31,"
_ISO = r"^\d{4}-\d\d-\d\d([T ]|$)"
_LARGEST_REWARD = 1e18  # its square is still a finite float32


def validated(frame: pl.DataFrame, name: str, *, mendable: bool = False, every: bool = False) -> pl.DataFrame:
    """The canonical form of a raw frame: typed columns, sessions in order of first appearance.

    With ``mendable`` the breaches that `irecgan.data.filters` mends are let pass: an item twice in a slate, and a click
    outside its slate, unless all are, or it is a word for nothing. Raises UserError for the first other breach of the
    rules in ``_rules``; with ``every`` for all columns of types that do not fit, and the first breach of every rule.
    """
    if frame.is_empty():
        raise UserError(f"{name}: has no rows; expected one row per step of a session")
    if ROW in frame.columns:
        raise UserError(f"{name}: column {ROW}: is a name that irecgan keeps for itself; expected another")
    order = _order_column(frame, name)
    numbered = frame.with_row_index(ROW, offset=1)
    if every:
        typed, breach = _every_breach(numbered, order, name)
    else:
        typed = _typed(numbered, order, name)
        breach = _first_breach(typed, order, name, mendable=mendable)
    if breach is not None:
        raise breach
    rows = _arranged(typed, order)[ROW]
    typed = typed.drop(ROW, FILE, ROW_IN_FILE, strict=False)
    return typed if _is_count(rows) else typed.select(pl.all().gather(rows - 1))


def _first_breach(frame: pl.DataFrame, order: str, name: str, *, mendable: bool) -> UserError | None:
    """Of all rules, or with ``mendable`` of those that nothing mends; None where there is none."""
    rules = (rule for rule in _rules(frame, order) if not (mendable and rule[2] in _MENDABLE))
    worse = _beyond_mending(frame, name) if mendable else ()
    return next(chain(_of_rules(frame, name, rules), worse), None)


def _every_breach(frame: pl.DataFrame, order: str, name: str) -> tuple[pl.DataFrame, UserError | None]:
    """``frame`` with typed columns, and in one line those that cannot be typed and the first breach of each rule.

    It says where `irecgan prepare` mends it; None where there is none. What cannot be typed breaks no other rule.
    """
    found: list[str] = []
    for columns, read in _readings(order, name):
        try:
            frame = read(frame)
        except UserError as error:
            found.append(str(error))
            frame = _without(frame, columns, order)
    for rule in _rules(frame, order):
        for breach in _of_rules(frame, name, [rule]):
            worse = list(_beyond_mending(frame, name)) if rule[2] == _INSIDE else []
            mended = " (irecgan prepare mends this)" if rule[2] in _MENDABLE else ""
            found += map(str, worse) if worse else [f"{breach}{mended}"]
    return frame, UserError("; also ".join(found)) if found else None


def _without(frame: pl.DataFrame, columns: Sequence[str], order: str) -> pl.DataFrame:
    """``frame`` without ``columns``; for those that every log has, values that break no rule stand in."""
    row = pl.col(ROW).cast(pl.Int64)
    stand_in = {SESSION: row, order: row, SLATE: pl.concat_list(row), CLICK: row, REWARD: pl.lit(0.0)}
    optional = [column for column in columns if column not in stand_in]
    return frame.drop(optional, strict=False).with_columns(**{c: stand_in[c] for c in columns if c in stand_in})


def _of_rules(frame: pl.DataFrame, name: str, rules: Iterable[Rule]) -> Iterator[UserError]:
    """The first breach of each of the ``rules`` that are broken."""
    for column, broken, expected in rules:
        for part in slices(frame):
            breach = part.filter(broken).head(1)
            if len(breach):
                yield (_outside if expected == _INSIDE else _breach)(frame, name, column, breach, expected)
                break


def _beyond_mending(frame: pl.DataFrame, name: str) -> Iterator[UserError]:
    """Clicks outside their slates that tell of something worse."""
    yield from _words(frame, name)
    yield from _all_outside(frame, name)


def order_column(frame: pl.DataFrame) -> str:
    """The column that orders the steps of a session."""
    return STEP if STEP in frame.columns else TIMESTAMP


def _arranged(frame: pl.DataFrame, order: str) -> pl.DataFrame:
    """Session, order and ROW of all rows, sessions in order of first appearance and their steps in order."""
    narrow = frame.select(SESSION, order, ROW)
    starts, value = session_starts(narrow), narrow[order]
    rising = (value >= value.shift()).fill_null(True).scatter(starts, True)
    if len(starts) == narrow[SESSION].n_unique() and rising.all():
        return narrow
    return narrow.sort(pl.col(ROW).min().over(SESSION), order, ROW)


def _repeated(arranged: pl.DataFrame) -> pl.Series:
    """The numbers (ROW) of rows whose session has the same step in an earlier row."""
    session, step = arranged[SESSION], arranged[STEP]
    return arranged[ROW].filter(((session == session.shift()) & (step == step.shift())).fill_null(False))


def _is_count(rows: pl.Series) -> bool:
    """Whether ``rows``, each number from 1 once, stand in their order."""
    return bool((rows.diff(null_behavior="drop") > 0).all())


def _order_column(frame: pl.DataFrame, name: str) -> str:
    missing = [column for column in (SESSION, SLATE, CLICK) if column not in frame.columns]
    if STEP not in frame.columns and TIMESTAMP not in frame.columns:
        missing.append(f"{STEP} (or {TIMESTAMP})")
    if missing:
        raise UserError(f"{name}: missing column {', '.join(missing)}; found columns {listed(frame.columns)}")
    return order_column(frame)


def _typed(frame: pl.DataFrame, order: str, name: str) -> pl.DataFrame:
    for _, read in _readings(order, name):
        frame = read(frame)
    return frame


def _readings(order: str, name: str) -> Iterator[Reading]:
    """How the columns get their types, one after the other, each with those that cannot be read without it."""
    told = (LAST_TOUCHED, *TOUCHES)
    yield (SLATE, CLICK, *told), partial(_items, name=name)
    for own in (SESSION, USER):
        yield (own,), partial(_own_ids, column=own, name=name)
    for column in told:
        yield (column,), partial(_told, column=column, name=name)
    yield (REWARD,), partial(_rewards, name=name)
    yield (PROPENSITY,), partial(_propensities, name=name)
    yield (order,), partial(_steps if order == STEP else _timestamps, name=name)


def _items(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Item ids as Int64 where all are integers as written, else as String."""
    if isinstance(frame.schema[SLATE], pl.Array):
        frame = frame.with_columns(pl.col(SLATE).arr.to_list())
    if not isinstance(frame.schema[SLATE], pl.List):
        raise UserError(f"{name}: column {SLATE}: found type {frame.schema[SLATE]}; expected a list of item ids")
    frame = _written(_blanks_as_null(frame, CLICK), SLATE, name)
    kind, frame = _item_ids(_written(frame, CLICK, name))
    return frame.with_columns(pl.col(SLATE).cast(pl.List(kind)), pl.col(CLICK).cast(kind))


def _own_ids(frame: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """The ids of sessions, or of users if there are any, as Int64 where all are integers as written, else as String."""
    if column not in frame.columns:
        return frame
    frame = _written(_blanks_as_null(frame, column) if column == USER else frame, column, name)
    return frame.with_columns(pl.col(column).cast(pl.Int64 if all_integers(frame[column]) else pl.String))


def _told(frame: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """Items touched, as ids of the type that those of the slates have, if there is such a ``column``."""
    if column not in frame.columns:
        return frame
    frame = _blanks_as_null(frame, column) if column == LAST_TOUCHED else frame
    return frame.with_columns(_as_written(frame, column, frame.schema[CLICK], name))


def _rewards(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Rewards as numbers; 0 where there are none."""
    defaults = [] if REWARD in frame.columns else [pl.lit(0.0).alias(REWARD)]
    frame = frame.with_columns(defaults)
    return _cast(frame, REWARD, pl.Float64, "a number", name).with_columns(pl.col(REWARD).fill_null(0.0))


def _propensities(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Propensities as numbers, if there are any."""
    return _cast(frame, PROPENSITY, pl.Float64, "a number in (0, 1]", name) if PROPENSITY in frame.columns else frame


def _steps(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Steps as Int64."""
    return _cast(frame, STEP, pl.Int64, "an integer from 0", name)


def _item_ids(frame: pl.DataFrame) -> tuple[type[pl.DataType], pl.DataFrame]:
    """The type of all item ids, and ``frame`` with clicks written like the integers of its slates, if such they are."""
    if all_integers(frame[SLATE]):
        if all_integers(frame[CLICK]):
            return pl.Int64, frame
        whole = frame.with_columns(without_fractions(pl.col(CLICK)))
        if all_integers(whole[CLICK]):
            return pl.Int64, whole
    return pl.String, frame


def _blanks_as_null(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """``frame`` with null for text of nothing but spaces in ``column``."""
    return frame.with_columns(_without_blanks(frame[column])) if frame.schema[column] in TEXT else frame


def _without_blanks(source: pl.Series) -> pl.Series:
    """Text of nothing but spaces as null: nothing was clicked, say."""
    parts = [part.to_series().cast(pl.String).str.strip_chars() == "" for part in slices(source.to_frame())]
    blank = pl.concat(parts).fill_null(value=False)
    return source.cast(pl.String).set(blank, None) if blank.any() else source


def _written(frame: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """The ids of ``column`` as Int64 or as text. Whole floats count as integers: columns with gaps often hold them."""
    source, listed = frame[column], column == SLATE
    kind = _inner(source) if listed else source.dtype
    if not (kind.is_integer() or kind.is_float() or kind in TEXT):
        raise UserError(f"{name}: column {column}: found type {kind}; expected integers or strings as ids")
    if kind.is_float():
        ids = source.explode() if listed else source
        for found in ids.filter(~are_whole(ids)).head(1):
            at = int((source.list.contains(found) if listed else source == found).arg_max() or 0)
            raise UserError(
                f"{place_of(frame, name, at)}: column {column}: found {found}; expected integers or strings"
            )
    to = pl.Int64 if kind.is_float() or _fits(source) else pl.String
    return frame.with_columns(source.cast(pl.List(to) if listed else to, strict=not kind.is_float()))


def _inner(values: pl.Series) -> pl.DataType:
    """The type of the values, or of those in their lists."""
    kind = values.dtype
    return kind.inner if isinstance(kind, pl.List) else kind  # type: ignore[return-value]


def _fits(values: pl.Series) -> bool:
    """Whether ``values``, or all in its lists, are of a type of integers, and not too large for Int64."""
    kind = _inner(values)
    if kind not in (pl.UInt64, pl.Int128, pl.UInt128):
        return kind.is_integer()
    ids = values.explode() if isinstance(values.dtype, pl.List) else values
    return ids.cast(pl.Int64, strict=False).null_count() == ids.null_count()


def _as_written(frame: pl.DataFrame, column: str, kind: pl.DataType, name: str) -> pl.Series:
    """The values of ``column``, or those in its lists, as item ids of type ``kind``; what is none is null, or left out.

    Raises UserError where the type is wrong, and where there are values in lists of which none is an id.
    """
    source, listed = frame[column], column in TOUCHES
    found = _inner(source)
    if listed != isinstance(source.dtype, pl.List) and source.dtype != pl.Null:
        expected = "a list of item ids" if listed else "item ids"
        raise UserError(f"{name}: column {column}: found type {source.dtype}; expected {expected}")
    if not (found.is_integer() or found.is_float() or found in TEXT):
        raise UserError(f"{name}: column {column}: found type {found}; expected item ids")
    if source.dtype == pl.Null:
        return source.cast(pl.List(kind) if listed else kind)
    if not listed:
        return frame.select(_as_ids(pl.col(column), found, kind)).to_series()
    ids = frame.select(pl.col(column).list.eval(_as_ids(pl.element(), found, kind)).list.drop_nulls()).to_series()
    told = (source.list.drop_nulls().list.len() > 0).fill_null(value=False)
    if told.any() and not ids.list.len().sum():
        at = int(told.arg_max() or 0)
        expected = "item ids written like those of the slates (in CSV, spaces between them)"
        raise UserError(
            f"{place_of(frame, name, at)}: column {column}: found {_shown(source[at])}; expected {expected}"
        )
    return ids


def _as_ids(values: pl.Expr, found: pl.DataType, kind: pl.DataType) -> pl.Expr:
    """``values`` of type ``found`` as ids of type ``kind``; null where none could be written so."""
    whole = values
    if found.is_float():  # as columns with gaps often are
        whole = pl.when(whole % 1 == 0).then(whole).cast(pl.Int64, strict=False)
    text = whole.cast(pl.String)
    if kind == pl.Int64:
        text = without_fractions(text)
    ids = text.cast(kind, strict=False)
    return pl.when((ids.cast(pl.String) == text) & (text.str.strip_chars() != "")).then(ids)


def in_canonical_order(frame: pl.DataFrame, order: str) -> bool:
    """Whether the rows of every session are adjacent and in order: ``frame`` has its columns SESSION and ``order``."""
    return _is_count(_arranged(frame.with_row_index(ROW, offset=1), order)[ROW])


def all_integers(values: pl.Series) -> bool:
    """Whether every value, in lists or not, is an integer in its shortest writing: 007 stays a string."""
    listed = isinstance(values.dtype, pl.List)
    if _inner(values) == pl.Int64:
        return True
    parts = (part.to_series() for part in slices(values.to_frame()))
    return all(_written_shortest(part.explode() if listed else part) for part in parts)


def _written_shortest(text: pl.Series) -> bool:
    return bool(text.cast(pl.Int64, strict=False).cast(pl.String).eq_missing(text).all())


def _cast(frame: pl.DataFrame, column: str, kind: type[pl.DataType], expected: str, name: str) -> pl.DataFrame:
    source = frame[column]
    if not (source.dtype.is_numeric() or source.dtype in TEXT):
        raise UserError(f"{name}: column {column}: found type {source.dtype}; expected {expected}")
    if source.dtype == kind:
        return frame
    if source.dtype in TEXT:
        source = source.cast(pl.String)
    cast = source.cast(pl.Float64, strict=False).cast(kind, strict=False)
    if not source.dtype.is_float():  # large integers are no floats
        cast = source.cast(kind, strict=False).fill_null(cast)
    whole = cast.cast(pl.Float64) == source.cast(pl.Float64, strict=False)
    wrong = source.is_not_null() & (cast.is_null() | ~whole.fill_null(False) & ~cast.cast(pl.Float64).is_nan())
    if wrong.any():
        at = int(wrong.arg_max() or 0)
        found = _shown(source[at])
        raise UserError(f"{place_of(frame, name, at)}: column {column}: found {found}; expected {expected}")
    return frame.with_columns(cast.alias(column))


def _timestamps(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Timestamps as numbers or as datetimes; ISO text is parsed."""
    source = frame[TIMESTAMP]
    times, wrong = parsed_times(source, name)
    if wrong.any():
        at = int(wrong.arg_max() or 0)
        found, place = _shown(source[at]), place_of(frame, name, at)
        raise UserError(f"{place}: column {TIMESTAMP}: found {found}; expected {A_TIME} like the others")
    return frame.with_columns(times)


def parsed_times(source: pl.Series, name: str) -> tuple[pl.Series, pl.Series]:
    """``source`` as numbers or datetimes, and which of its values that are not null are neither. (Boolean)

    Raises UserError, with the ``name`` of the log, where it has a type that is no time.
    """
    if not (source.dtype.is_numeric() or source.dtype.is_temporal() or source.dtype in TEXT):
        raise UserError(f"{name}: column {source.name}: found type {source.dtype}; expected numbers or ISO dates")
    times = _parsed(source.cast(pl.String)) if source.dtype in TEXT else source
    wrong = source.is_not_null() & times.is_null()
    if times.dtype.is_float():
        wrong |= times.is_not_null() & ~times.is_finite()
    return times.alias(source.name), wrong


def every_time(frame: pl.DataFrame, column: str, name: str) -> pl.Series:
    """The times in ``column`` of the log ``frame``: beside a column of steps they are kept as they were written.

    Raises UserError, with the ``name`` of the log, where one is missing or is none.
    """
    if frame[column].has_nulls():
        raise UserError(f"{name}: column {column}: found an empty value; expected a time on every row")
    times, wrong = parsed_times(frame[column], name)
    for session, found in frame.filter(wrong).select(SESSION, column).head(1).iter_rows():
        raise UserError(f"{name}: session {session}: column {column}: found {found!r}; expected {A_TIME} on every row")
    return times


def _parsed(text: pl.Series) -> pl.Series:
    """Numbers, if all of ``text`` is such, else datetimes; null where it is neither."""
    for kind in (pl.Int64, pl.Float64):
        numbers = text.cast(kind, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers
    iso = text.set(~text.str.contains(_ISO), None)  # polars reads 03/04/2024 too, whichever is the month
    try:
        return iso.str.to_datetime(strict=False)
    except pl.exceptions.ComputeError:  # not even the first is a date
        return pl.Series([None] * len(text), dtype=pl.Datetime)


def _rules(frame: pl.DataFrame, order: str) -> Iterator[Rule]:
    slate, click, reward = pl.col(SLATE), pl.col(CLICK), pl.col(REWARD)
    yield SESSION, _is_blank(pl.col(SESSION), frame.schema[SESSION]), "a session id"
    yield order, pl.col(order).is_null(), "a value on every row"
    if order == STEP:
        yield STEP, pl.col(STEP) < 0, "an integer from 0"
        yield STEP, pl.col(ROW).is_in(_repeated(_arranged(frame, order)).implode()), "each step of a session once"
    yield SLATE, slate.is_null() | (slate.list.len() == 0), "at least one item"
    yield SLATE, slate.list.eval(_is_blank(pl.element(), frame.schema[CLICK])).list.any(), "no empty item id"
    yield SLATE, slate.list.n_unique() != slate.list.len(), _ONCE
    yield CLICK, click.is_not_null() & ~_INSIDE_SLATE, _INSIDE
    yield REWARD, ~reward.is_finite(), "a finite number"
    yield REWARD, reward.abs() > _LARGEST_REWARD, f"a number within +-{_LARGEST_REWARD:g}"
    yield REWARD, click.is_null() & (reward != 0), "0 where nothing was clicked"
    if PROPENSITY in frame.columns:
        propensity = pl.col(PROPENSITY)
        outside = ~((propensity > 0) & (propensity <= 1)) | propensity.is_nan()
        yield PROPENSITY, propensity.is_not_null() & outside, "a number in (0, 1]"


def _words(frame: pl.DataFrame, name: str) -> Iterator[UserError]:
    """A word for nothing as a click: the step would be dropped, and may end its session."""
    if frame.schema[CLICK] != pl.String:
        return
    for part in slices(frame):
        breach = part.filter(pl.col(CLICK).is_in(_WORDS)).filter(~_INSIDE_SLATE).head(1)
        if len(breach):
            yield _breach(frame, name, CLICK, breach, "an empty cell, or null, where nothing was clicked")
            return


def _all_outside(frame: pl.DataFrame, name: str) -> Iterator[UserError]:
    """The first click where there are some, and none is in its slate: they are written in two ways."""
    breach = frame.clear()
    for part in slices(frame):
        clicked = part.filter(pl.col(CLICK).is_not_null())
        outside = clicked.filter(~_INSIDE_SLATE)
        if len(outside) < len(clicked):
            return
        breach = outside.head(1) if breach.is_empty() else breach
    if len(breach):
        expected = (
            "at least one click of the log in its slate, whose ids are written alike (in CSV, spaces between them)"
        )
        yield _outside(frame, name, CLICK, breach, expected)


def _is_blank(ids: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Ids of type ``kind`` that are missing, or written with nothing but spaces."""
    return ids.is_null() if kind == pl.Int64 else ids.is_null() | (ids.str.strip_chars() == "")


def _breach(frame: pl.DataFrame, name: str, column: str, row: pl.DataFrame, expected: str) -> UserError:
    """The one line that says what was found in the only ``row`` given, of ``frame``."""
    place = place_of(frame, name, row[ROW][0] - 1)
    return UserError(f"{place}: column {column}: found {_shown(row[column][0])}; expected {expected}")


def _outside(frame: pl.DataFrame, name: str, column: str, row: pl.DataFrame, expected: str) -> UserError:
    """The same with the slate, in which the click is not found."""
    return _breach(frame, name, column, row, f"{expected}; here the slate is {_shown(row[SLATE][0])}")


def place_of(frame: pl.DataFrame, name: str, at: int) -> str:
    """File and row, counted from 1, of the row that is ``at`` when all rows are counted from 0."""
    if FILE not in frame.columns:
        return f"{name}: row {at + 1}"
    file = frame[FILE][at]
    if ROW_IN_FILE in frame.columns:
        return f"{file}: row {frame[ROW_IN_FILE][at]}"
    return f"{file}: row {at + 1 - int((frame[FILE] == file).arg_max() or 0)}"


def _shown(value: object) -> str:
    if isinstance(value, pl.Series):
        value = value.to_list()
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
