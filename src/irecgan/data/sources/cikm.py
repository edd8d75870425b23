"""Search lists, clicks and purchases of a web shop: CIKM Cup 2016, track 2 (the log of the paper's 7.2)."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from irecgan.data.columns import CLICK, FILE, REWARD, ROW_IN_FILE, SESSION, SLATE, STEP, TIMESTAMP, USER
from irecgan.data.reading import with_file
from irecgan.data.sources.interface import Raw
from irecgan.errors import UserError
from irecgan.seeding import Streams

_QUERIES = "train-queries.csv"
_FILES = {
    _QUERIES: ("queryId", "sessionId", "userId", "timeframe", "eventdate", "items", "is.test"),
    "train-clicks.csv": ("queryId", "timeframe", "itemId"),
    "train-purchases.csv": ("sessionId", "itemId"),
}
_NONE = ["", "NA"]


def read_cikm(paths: Sequence[Path], streams: Streams) -> Raw:  # noqa: ARG001
    """A step is a click on the list of a query, in the order of clicks within a session.

    The last click of a session on an item that it bought has reward 1. Queries without a click, those
    whose clicks are withheld (``is.test``), clicks on no known list and purchases without a click are no
    steps, and are counted. The path is the directory with the files of the cup. In messages a step stands
    where its query does.
    """
    if len(paths) != 1 or not paths[0].is_dir():
        raise UserError(f"{paths[0]}: expected one directory with {', '.join(_FILES)}")
    queries, clicks, purchases = (_read(paths[0] / name, columns) for name, columns in _FILES.items())
    queries = with_file(queries.with_row_index(ROW_IN_FILE, offset=2), paths[0] / _QUERIES)
    if queries["queryId"].is_duplicated().any():
        twice = queries.filter(pl.col("queryId").is_duplicated())["queryId"][0]
        raise UserError(f"{paths[0] / _QUERIES}: column queryId: found {twice!r} twice; expected it once")
    known = queries.filter(pl.col("is.test").str.to_uppercase() != "TRUE", pl.col("items").is_not_null())
    steps = _steps(known, clicks)
    bought = purchases.select("sessionId", "itemId").drop_nulls().unique()
    rewarded = _rewarded(steps, bought)
    left_out = {
        "query whose clicks are withheld, or without a list": len(queries) - len(known),
        "query without a click": len(known.join(clicks, on="queryId", how="anti")),
        "click on no known list": len(clicks) - len(steps),
        "item bought without a click": len(bought.join(steps, on=["sessionId", "itemId"], how="anti")),
    }
    return Raw(rewarded, len(queries) + len(clicks) + len(purchases), left_out)


def _steps(queries: pl.DataFrame, clicks: pl.DataFrame) -> pl.DataFrame:
    """Clicks with the lists they fell on, sessions together and in time order."""
    lists = queries.rename({"timeframe": "asked"})
    steps = clicks.drop_nulls("itemId").join(lists, on="queryId", how="inner", maintain_order="left")
    since = pl.duration(milliseconds=pl.col("timeframe").cast(pl.Int64))
    return steps.with_columns((pl.col("eventdate").str.to_datetime("%Y-%m-%d") + since).alias(TIMESTAMP)).sort(
        "sessionId", TIMESTAMP, maintain_order=True
    )


def _rewarded(steps: pl.DataFrame, bought: pl.DataFrame) -> pl.DataFrame:
    """The steps as rows of a session log."""
    last = pl.int_range(pl.len()).over("sessionId", "itemId") == pl.len().over("sessionId", "itemId") - 1
    marked = steps.join(
        bought.with_columns(bought=pl.lit(value=True)), on=["sessionId", "itemId"], how="left", maintain_order="left"
    )
    return marked.select(
        pl.col("sessionId").alias(SESSION),
        pl.int_range(pl.len()).over("sessionId").alias(STEP),
        TIMESTAMP,
        pl.col("items").str.split(",").alias(SLATE),
        pl.col("itemId").alias(CLICK),
        (pl.col("bought").fill_null(value=False) & last).cast(pl.Float64).alias(REWARD),
        pl.col("userId").alias(USER),
        FILE,
        ROW_IN_FILE,
    )


def _read(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected {', '.join(_FILES)} in the directory")
    try:
        frame = pl.read_csv(path, separator=";", infer_schema=False, null_values=_NONE)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path}: cannot be read as CSV ({' '.join(str(error).split())[:200]})") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"{path}: missing column {', '.join(missing)}; found columns {', '.join(frame.columns)}")
    frame = frame.select(columns)
    if "timeframe" in columns:
        _expect(frame, path, "timeframe", pl.col("timeframe").cast(pl.Int64, strict=False), "milliseconds")
    if "eventdate" in columns:
        date = pl.col("eventdate").str.to_datetime("%Y-%m-%d", strict=False)
        _expect(frame, path, "eventdate", date, "a date like 2016-05-09")
    if "items" in columns:
        _expect(frame, path, "items", pl.col("items").str.contains(r"^\d+(,\d+)*$").replace({False: None}), "item ids")
    return frame


def _expect(frame: pl.DataFrame, path: Path, column: str, parsed: pl.Expr, expected: str) -> None:
    """Raise UserError for the first value that ``parsed`` cannot read; a query may have no items."""
    readable = parsed.is_not_null() | (pl.col(column).is_null() & (column == "items"))
    wrong = frame.with_row_index("row", offset=2).filter(~readable)
    if len(wrong):
        row, found = wrong["row"][0], wrong[column][0]
        raise UserError(f"{path}: row {row}: column {column}: found {found!r}; expected {expected}")
