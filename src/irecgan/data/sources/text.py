"""Lines of text as a frame, for formats that no CSV reader takes."""

from pathlib import Path

import polars as pl

from irecgan.errors import UserError

LINE = "line"


def read_lines(path: Path) -> pl.DataFrame:
    """The lines of a file that are not blank, in a column LINE, with their numbers from 1 in ``number``."""
    if not path.is_file():
        raise UserError(f"{path}: {'is a directory; expected a file' if path.is_dir() else 'no such file'}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from None
    frame = pl.DataFrame({LINE: text.split("\n")}, schema={LINE: pl.String}).with_row_index("number", offset=1)
    frame = frame.filter(pl.col(LINE).str.strip_chars() != "")
    if frame.is_empty():
        raise UserError(f"{path}: has no rows; expected one line per step of a session")
    return frame
