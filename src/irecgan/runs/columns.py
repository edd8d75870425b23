"""The columns that a run's networks read: ``features.json`` has how they are coded, ``features.parquet`` the items'."""

from collections.abc import Container
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import ITEM
from irecgan.data.features import Code
from irecgan.data.reading import read_frame, write_frame
from irecgan.errors import UserError
from irecgan.files import read_json, write_json
from irecgan.models.content import Inputs, ItemFeatures

CODES = "features.json"
TOLD = "features.parquet"


def write_columns(directory: Path, inputs: Inputs, table: pl.DataFrame | None) -> list[str]:
    """Write the columns and their codes; the names of the files, none where no column is read.

    ``table``: the items in the order of the catalogue, with the columns of ``inputs.items``.
    """
    names = []
    codes = {"items": None if inputs.items is None else inputs.items.code, "context": inputs.context}
    if any(codes.values()):
        write_json(directory / CODES, {key: code and code.model_dump(mode="json") for key, code in codes.items()})
        names.append(CODES)
    if inputs.items is not None and table is not None:
        write_frame(table.select(ITEM, *inputs.items.code.names), directory / TOLD)
        names.append(TOLD)
    return names


def read_columns(directory: Path, catalogue: Catalogue, files: Container[str]) -> tuple[Inputs, pl.DataFrame | None]:
    """What `write_columns` wrote, if it is among the run's ``files``.

    Raises UserError where a file is no code, or not of the items of ``catalogue``.
    """
    if CODES not in files:
        return Inputs(), None
    fields = read_json(directory / CODES)
    try:
        items, context = (_code(fields[key]) for key in ("items", "context"))
    except (ValidationError, KeyError, TypeError) as error:
        raise UserError(
            f"{directory / CODES}: not the columns of a run ({' '.join(str(error).split())[:200]})"
        ) from None
    if items is None:
        return Inputs(context=context), None
    table = read_frame(directory / TOLD)
    if ITEM not in table.columns or not table[ITEM].equals(catalogue.items):
        raise UserError(f"{directory / TOLD}: not the {len(catalogue)} items of this run")
    rows = items.encode(table, str(directory / TOLD))
    return Inputs(ItemFeatures(items, rows), context), table


def _code(fields: object) -> Code | None:
    return None if fields is None else Code.model_validate(fields)
