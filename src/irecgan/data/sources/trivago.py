"""Hotel lists and clickouts of the RecSys Challenge 2019 (trivago)."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from irecgan.data.columns import (
    CLICK,
    LAST_EVENT,
    LAST_TOUCHED,
    REWARD,
    ROW_IN_FILE,
    SESSION,
    SLATE,
    STEP,
    TIMESTAMP,
    USER,
)
from irecgan.data.history import touched_between, touched_by_user
from irecgan.data.reading import with_file
from irecgan.data.sources.interface import Raw
from irecgan.data.sources.text import LINE, read_lines
from irecgan.data.sources.trivago_items import is_metadata, read_metadata
from irecgan.errors import UserError
from irecgan.seeding import Streams

_CLICKOUT = pl.col("action_type") == "clickout item"
_ABOUT_ITEMS = pl.col("action_type").str.contains("item", literal=True)  # others are about places, filters and orders
_LEAST_FIELDS = 12
# A raw row holds an unquoted comma in its city: these are counted from the front, the others from the back.
_FRONT = {USER: 0, SESSION: 1, TIMESTAMP: 2, STEP: 3, "action_type": 4, CLICK: 5, "platform": 6}
_BACK = {"device": -4, "filters": -3, "impressions": -2}


def read_trivago(paths: Sequence[Path], streams: Streams) -> Raw:  # noqa: ARG001
    """A step is a clickout with its list, with reward 1: the clickout is the event that is paid for.

    Reads the raw files of the challenge (``train.csv``, ``test.csv``) and mars-gym's
    ``interaction_dataset.csv``. Other actions show no list and are left out, as are clickouts whose item
    is withheld; both are counted. Every step knows the item that the user touched last before it
    (``last_touched``), by clickout, search or a look at its pictures, ratings, prices or description; all that were
    touched since the step before (``touched_between``), and which of its list in earlier sessions of the user
    (``touched_by_user``). Context of a step in the raw files: ``platform``, ``device`` and the list ``filters``. A
    further file, ``item_metadata.csv`` or mars-gym's ``item_metadata_transform.csv``, gives items the list
    ``properties``.
    """
    told = [path for path in paths if is_metadata(path)]
    logs = [path for path in paths if path not in told]
    if not logs:
        raise UserError(f"{paths[0]}: found properties of items alone; expected a file of actions beside it")
    raw = pl.concat([_read(path) for path in logs], how="diagonal")
    raw = raw.with_columns(pl.col(TIMESTAMP).max().over(SESSION).alias(LAST_EVENT), order=pl.int_range(pl.len()))
    listed = _CLICKOUT & (pl.col(SLATE).list.len() > 0).fill_null(value=False)
    step = listed & pl.col(CLICK).is_not_null()
    clickouts, with_list, known = raw.select(all=_CLICKOUT.sum(), listed=listed.sum(), known=step.sum()).row(0)
    left_out = {
        "not a clickout": len(raw) - clickouts,
        "clickout without a list": clickouts - with_list,
        "clicked item withheld": with_list - known,
    }
    return Raw(_steps(raw, step), len(raw), left_out, read_metadata(told))


def _steps(raw: pl.DataFrame, step: pl.Expr) -> pl.DataFrame:
    """The actions that are a ``step``, with all that was touched before them."""
    raw = raw.sort(TIMESTAMP, STEP, maintain_order=True)
    touched = pl.when(_ABOUT_ITEMS).then(pl.col(CLICK)).forward_fill().shift(1).over(SESSION)
    steps = touched_between(raw.with_columns(touched.alias(LAST_TOUCHED)), step, _ABOUT_ITEMS)
    steps = steps.with_columns(
        touched_by_user(steps, raw.filter(_ABOUT_ITEMS)), first=pl.col("order").min().over(SESSION)
    )
    numbered = steps.sort("first", TIMESTAMP, STEP, maintain_order=True).with_columns(
        pl.int_range(pl.len()).over(SESSION).alias(STEP), pl.lit(1.0).alias(REWARD)
    )
    return numbered.drop("action_type", "order", "first")


def _read(path: Path) -> pl.DataFrame:
    lines = read_lines(path)
    head = lines[LINE][0].split(",")
    if "reference" in head and "impressions" in head:
        frame = _raw(path, lines[1:])
    elif {"item_id", "impressions", "action_type"} <= set(head):
        frame = _mars_gym(path)
    else:
        raise UserError(f"{path}: row 1: found header {','.join(head)[:60]!r}; expected a trivago 2019 file")
    times = frame[TIMESTAMP].cast(pl.Int64, strict=False)
    if times.has_nulls():
        at = int(times.is_null().arg_max() or 0)
        row, found = frame[ROW_IN_FILE][at], frame[TIMESTAMP][at]
        raise UserError(f"{path}: row {row}: column {TIMESTAMP}: found {found!r}; expected Unix seconds")
    return with_file(frame.with_columns(times), path)


def _raw(path: Path, lines: pl.DataFrame) -> pl.DataFrame:
    lines = lines.with_columns(fields=pl.col(LINE).str.split(","))
    wrong = lines.filter(pl.col("fields").list.len() < _LEAST_FIELDS)
    if len(wrong):
        found = len(wrong["fields"][0])
        raise UserError(f"{path}: row {wrong['number'][0]}: found {found} fields; expected at least {_LEAST_FIELDS}")
    columns = [pl.col("fields").list.get(i).alias(name) for name, i in (_FRONT | _BACK).items()]
    frame = lines.select(*columns, pl.col("number").alias(ROW_IN_FILE))
    return frame.select(
        USER,
        SESSION,
        TIMESTAMP,
        pl.col(STEP).cast(pl.Int64, strict=False),
        "action_type",
        pl.when(pl.col(CLICK) != "").then(pl.col(CLICK)).alias(CLICK),
        pl.when(pl.col("impressions") != "").then(pl.col("impressions").str.split("|")).alias(SLATE),
        "platform",
        "device",
        pl.when(pl.col("filters") != "").then(pl.col("filters").str.split("|")).alias("filters"),
        ROW_IN_FILE,
    )


def _mars_gym(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from None
    missing = [column for column in (USER, SESSION, TIMESTAMP) if column not in frame.columns]
    if missing:
        raise UserError(f"{path}: missing column {', '.join(missing)}; found columns {', '.join(frame.columns)}")
    items = pl.col("impressions").str.extract_all(r"'[^']*'").list.eval(pl.element().str.strip_chars("'"))
    return frame.select(
        USER,
        SESSION,
        TIMESTAMP,
        pl.int_range(pl.len()).alias(STEP),
        "action_type",
        pl.col("item_id").alias(CLICK),
        items.alias(SLATE),
        pl.int_range(2, pl.len() + 2, dtype=pl.UInt32).alias(ROW_IN_FILE),  # the header is row 1, as in the raw files
    )
