"""Purchases in a game shop: IEEE BigData Cup 2021, "RL based RecSys" (NetEase)."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from irecgan.data.columns import CLICK, ITEM, REWARD, SESSION, SLATE, STEP, USER
from irecgan.data.sources.interface import Raw
from irecgan.errors import UserError
from irecgan.seeding import Streams

_ITEMS = ("item_info.parquet.snappy", "item_info.csv")
_SESSIONS = ("processed_trainset.parquet.snappy", "sessions.csv")


def read_bigdatacup(paths: Sequence[Path], streams: Streams) -> Raw:
    """One step per purchase, with reward 1; what is left unbought is the last step, without a click.

    A user sees three pages of three items; an item's page is its ``location``. The slate of a step is
    what the user has not bought yet, in page order. The data have lost the rank within a page and the
    order of purchases: pages are bought in order, and within a page both orders are drawn from the seed.
    The path is the directory that holds the two Parquet files, or their CSV copies. Context of all steps
    is the user's portrait (``portrait_1`` .. ``portrait_10``, 0 or 1); items have ``price``, ``location`` and the parts
    of their vector (``vector_1`` ..).
    """
    if len(paths) != 1 or not paths[0].is_dir():
        raise UserError(f"{paths[0]}: expected one directory with {_SESSIONS[0]} and {_ITEMS[0]}, or their CSV copies")
    sessions, items = (_find(paths[0], names) for names in (_SESSIONS, _ITEMS))
    shown, rows = _shown(sessions)
    shown = shown.join(_pages(items), on=ITEM, how="left", maintain_order="left")
    if shown["page"].has_nulls():
        item = shown.filter(pl.col("page").is_null())[ITEM][0]
        raise UserError(f"{paths[0]}: item {item} is shown, but not in {_ITEMS[0]}")
    steps = _steps(shown, streams)
    portraits = _portraits(sessions)
    if portraits is not None:
        steps = steps.join(portraits, on=SESSION, how="left", maintain_order="left")
    return Raw(steps, rows, items=_item_columns(items))


def _steps(shown: pl.DataFrame, streams: Streams) -> pl.DataFrame:
    """One row per purchase and one for the items left, from rows (USER, ITEM, bought, page)."""
    random = streams.numpy("bigdatacup")
    shown = shown.with_columns(
        user=pl.col(USER).rle_id(), rank=pl.Series(random.random(len(shown))), turn=pl.Series(random.random(len(shown)))
    )
    shown = shown.sort("user", "page", "rank")
    bought = shown.filter("bought").sort("user", "page", "turn")
    bought = bought.with_columns(pl.int_range(pl.len()).over("user").alias(STEP))
    turns = bought.select("user", ITEM, pl.col(STEP).alias("taken"))
    shown = shown.join(turns, on=["user", ITEM], how="left", maintain_order="left")
    last = shown.group_by("user", USER, maintain_order=True).agg(pl.col("taken").count().alias(STEP))
    steps = pl.concat(
        [
            bought.select("user", USER, STEP, pl.col(ITEM).alias(CLICK), pl.lit(1.0).alias(REWARD)),
            last.select(
                "user",
                USER,
                pl.col(STEP).cast(pl.Int64),
                pl.lit(None, pl.String).alias(CLICK),
                pl.lit(0.0).alias(REWARD),
            ),
        ]
    ).sort("user", STEP)
    open_items = steps.join(shown.select("user", ITEM, "taken"), on="user", how="inner", maintain_order="left_right")
    open_items = open_items.filter(pl.col("taken").is_null() | (pl.col("taken") >= pl.col(STEP)))
    slates = open_items.group_by("user", STEP, maintain_order=True).agg(pl.col(ITEM).alias(SLATE))
    frame = steps.join(slates, on=["user", STEP], how="inner", maintain_order="left")
    return frame.select(pl.col(USER).alias(SESSION), STEP, SLATE, CLICK, REWARD)


def _shown(path: Path) -> tuple[pl.DataFrame, int]:
    """Rows (USER, ITEM, bought), users together, and the number of users."""
    frame = _frame(path, USER)
    if frame[USER].is_duplicated().any():
        raise UserError(f"{path}: column {USER}: found a user twice; expected one row a user")
    if "shown" in frame.columns:
        pairs = frame.select(USER, pl.col("shown").str.split(" ")).explode("shown")
        parts = pl.col("shown").str.split(":")
        long = pairs.select(USER, parts.list.get(0).alias(ITEM), parts.list.get(1, null_on_oob=True).alias("bought"))
    else:
        items = [column for column in frame.columns if column.startswith("item_")]
        long = frame.with_row_index("at").unpivot(items, index=["at", USER], variable_name=ITEM, value_name="bought")
        long = long.drop_nulls("bought").sort("at", maintain_order=True)
        long = long.select(USER, pl.col(ITEM).str.strip_prefix("item_"), pl.col("bought").cast(pl.String))
    strange = long.filter(~pl.col("bought").is_in(["0", "1"]).fill_null(value=False))
    if len(strange):
        raise UserError(
            f"{path}: user {strange[USER][0]}: found {strange['bought'][0]!r}; expected 0 or 1 for an item shown"
        )
    return long.with_columns(pl.col("bought") == "1"), len(frame)


def _pages(path: Path) -> pl.DataFrame:
    """Rows (ITEM, page)."""
    frame = _frame(path, ITEM, "location").select(pl.col(ITEM).cast(pl.String), "location")
    if frame[ITEM].is_duplicated().any():
        raise UserError(f"{path}: column {ITEM}: found an item twice; expected one row an item")
    pages = frame.with_columns(page=pl.col("location").cast(pl.Int64, strict=False))
    wrong = pages.filter(pl.col("page").is_null())
    if len(wrong):
        found = wrong["location"][0]
        raise UserError(
            f"{path}: item {wrong[ITEM][0]}: column location: found {found!r}; expected the number of a page"
        )
    return pages.select(ITEM, "page")


def _portraits(path: Path) -> pl.DataFrame | None:
    """Rows (SESSION, portrait_1, ..), where the file has them: a text of numbers, or columns between user and items."""
    frame = _frame(path, USER)
    if "portrait" in frame.columns:
        portrait = _parts(frame["portrait"], " ", "portrait")
    else:
        own = [column for column in frame.columns[1:] if not column.startswith("item_")]
        portrait = frame.select(pl.col(column).alias(f"portrait_{i}") for i, column in enumerate(own, start=1))
    if not portrait.width:
        return None
    numbers = portrait.select(pl.all().cast(pl.Int64, strict=False))
    return numbers.insert_column(0, frame[USER].alias(SESSION))


def _item_columns(path: Path) -> pl.DataFrame | None:
    """Rows (ITEM, price, location, vector_1, ..) of what the file has of these."""
    frame = _frame(path, ITEM)
    found = frame.select(name for name in ("price", "location") if name in frame.columns)
    vectors = _parts(frame["item_vec"], ",", "vector") if "item_vec" in frame.columns else pl.DataFrame()
    columns = pl.concat([found, vectors], how="horizontal").select(pl.all().cast(pl.Float64, strict=False))
    return columns.insert_column(0, frame[ITEM].cast(pl.String)) if columns.width else None


def _parts(text: pl.Series, separator: str, name: str) -> pl.DataFrame:
    """The parts of each text, in columns ``name``_1, ..: as many as the longest has."""
    parts = text.cast(pl.String).str.split(separator)
    longest = max(parts.list.len().fill_null(0).to_list(), default=0)
    return pl.DataFrame({f"{name}_{i + 1}": parts.list.get(i, null_on_oob=True) for i in range(longest)})


def _frame(path: Path, *columns: str) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"{path}: missing column {', '.join(missing)}; found columns {', '.join(frame.columns[:5])}")
    return frame


def _find(directory: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise UserError(f"{directory}: no such file as {' or '.join(names)}")
