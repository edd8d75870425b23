"""The canonical log itself."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from irecgan.data.columns import FILE
from irecgan.data.ids import with_whole_ids
from irecgan.data.memory import refuse_too_large
from irecgan.data.reading import read_frame, with_file
from irecgan.data.sources.interface import Raw
from irecgan.errors import UserError
from irecgan.seeding import Streams


def read_log(paths: Sequence[Path], streams: Streams) -> Raw:  # noqa: ARG001
    """Parquet, CSV or JSON lines; several files are put one after the other."""
    refuse_too_large(paths)
    frames = [_from(path) for path in paths]
    try:
        frame = pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{paths[0]}: does not fit together with the other files ({error})") from None
    return Raw(frame, len(frame))


def _from(path: Path) -> pl.DataFrame:
    """The rows of ``path``, with the name of their file for messages."""
    frame = read_frame(path)
    return frame if FILE in frame.columns else with_file(with_whole_ids(frame), path)
