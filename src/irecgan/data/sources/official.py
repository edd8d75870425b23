"""The text format of the official code: ``session;state;click;item,item,...;purchase``."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from irecgan.data.columns import CLICK, REWARD, ROW_IN_FILE, SESSION, SLATE, STEP
from irecgan.data.reading import with_file
from irecgan.data.sources.interface import Raw
from irecgan.data.sources.text import LINE, read_lines
from irecgan.errors import UserError
from irecgan.seeding import Streams

_FIELDS = (SESSION, "state", CLICK, SLATE, REWARD)


def read_official(paths: Sequence[Path], streams: Streams) -> Raw:  # noqa: ARG001
    """Steps in the order of the lines. An empty click means that nothing was clicked.

    ``purchase`` becomes the reward; ``state`` is carried along. Raises UserError that names file and
    line where there are not five fields.
    """
    frame = pl.concat([_read(path) for path in paths])
    steps = pl.int_range(pl.len()).over(SESSION)
    return Raw(frame.with_columns(steps.alias(STEP)), len(frame))


def _read(path: Path) -> pl.DataFrame:
    lines = read_lines(path).with_columns(fields=pl.col(LINE).str.split(";"))
    wrong = lines.filter(pl.col("fields").list.len() != len(_FIELDS))
    if len(wrong):
        found = len(wrong["fields"][0])
        raise UserError(
            f"{path}: row {wrong['number'][0]}: found {found} fields; "
            "expected session;state;click;item,item,...;purchase"
        )
    columns = [pl.col("fields").list.get(i).str.strip_chars().alias(name) for i, name in enumerate(_FIELDS)]
    frame = with_file(lines.select(*columns, pl.col("number").alias(ROW_IN_FILE)), path)
    return frame.with_columns(
        pl.when(pl.col(CLICK) != "").then(pl.col(CLICK)).alias(CLICK),
        pl.col(SLATE).str.split(",").list.eval(pl.element().str.strip_chars()),
    )
