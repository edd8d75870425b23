"""From raw files to a validated, filtered and split log."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import CLICK, ITEM, ROW, SESSION, TOUCHED_BETWEEN, TOUCHED_BY_USER
from irecgan.data.filters import ClickOutsideSlate, Counts, Filter, Record, RepeatsInSlate, apply_filters
from irecgan.data.history import handed_on, with_user_history
from irecgan.data.item_columns import checked_items, item_table, items_beside, read_item_columns
from irecgan.data.location import REPORT
from irecgan.data.log import LogPart, SessionLog
from irecgan.data.reading import write_frame
from irecgan.data.sources.registry import SOURCES, Format
from irecgan.data.splits import SPLITS, Shares, split_parts
from irecgan.data.validation import validated
from irecgan.errors import UserError
from irecgan.files import atomic_directory, refuse_directory, write_json
from irecgan.seeding import Streams


@dataclass(frozen=True)
class ToldItems:
    """What the columns of items tell of."""

    told: int  # items with columns
    columns: list[str]
    without: int  # items shown in the train part of which nothing is told
    new: int  # items told of that the train part never shows

    @classmethod
    def of(cls, told: pl.DataFrame, table: pl.DataFrame, shown: int) -> "ToldItems":
        """The counts for a ``table`` of `item_table`, whose first ``shown`` items are shown."""
        new = len(table) - shown
        return cls(len(told), [name for name in told.columns if name != ITEM], shown - (len(told) - new), new)


@dataclass(frozen=True)
class Preparation:
    """What came of a preparation: every row read is accounted for."""

    source: str
    files: tuple[str, ...]
    split: str
    shares: Shares
    seed: int
    rows: int  # read from the files
    steps: int  # of them
    left_out: dict[str, int]  # reason -> rows that are no steps
    records: tuple[Record, ...]
    parts: dict[str, Counts]
    catalogue: int  # items shown in the train part: those that a training will know
    items: ToldItems | None = None  # where columns of items were given

    def to_json(self) -> dict[str, Any]:
        """The contents of ``prepare.json``."""
        return {
            "source": self.source,
            "files": list(self.files),
            "split": self.split,
            "shares": list(self.shares),
            "seed": self.seed,
            "rows": {"read": self.rows, "steps": self.steps, "left_out": self.left_out},
            "filters": [record.to_json() for record in self.records],
            "parts": {name: asdict(counts) for name, counts in self.parts.items()},
            "catalogue": self.catalogue,
        } | ({} if self.items is None else {"items": asdict(self.items)})


def prepare(
    source: str,
    paths: Sequence[Path],
    out: Path,
    *,
    split: str = "random",
    seed: int = 0,
    filters: Sequence[Filter] = (),
    shares: Shares | None = None,
    items: Path | None = None,
    user_history: bool = False,
) -> Preparation:
    """Read, validate, filter and split a log into the new directory ``out``.

    Writes ``train.parquet``, ``validation.parquet``, ``test.parquet``, ``items.parquet`` (the items shown in
    the train part, with what ``items`` or the source tell of them, and then the others that they tell of)
    and ``prepare.json``. Repeats in slates and clicks outside them are always filtered;
    ``filters`` come after. Without any, and without ``shares`` of the parts, those of the source are taken
    (`registry.SOURCES`). With ``user_history`` every step gets what of its slate the user clicked in earlier sessions
    (`irecgan.data.history.with_user_history`), unless the log says that already.

    Raises:
        UserError: an unknown source or split, unreadable files, a broken rule, items told of twice or with ids
            of another kind, or nothing left.

    """
    form = _form(source, split)
    refuse_directory(out)
    streams, parts_of = Streams(seed), shares or form.shares
    given = None if items is None else read_item_columns(items)
    rules: tuple[Filter, ...] = (RepeatsInSlate(), ClickOutsideSlate(), *(filters or form.filters))
    read = _read_and_filter(form, paths, streams.child("source"), rules, user_history=user_history)
    if given is None and read.items is not None:
        given = checked_items(read.items, read.log.name)
    with atomic_directory(out) as directory:
        parts = split_parts(read.log, split, streams, parts_of)
        counts, told = _write_parts(parts, directory, given, str(items or read.log.name))
        report = Preparation(
            source=source,
            files=tuple(path.name for path in paths),
            split=split,
            shares=parts_of,
            seed=seed,
            rows=read.rows,
            steps=read.steps,
            left_out=read.left_out,
            records=read.records,
            parts=counts,
            catalogue=counts["train"].items,
            items=told,
        )
        write_json(directory / REPORT, report.to_json())
    return report


def _form(source: str, split: str) -> Format:
    """The format of that name. Raises UserError where there is none, or no such ``split``."""
    if source not in SOURCES:
        raise UserError(f"source {source!r}: no such source; expected one of {', '.join(SOURCES)}")
    if split not in SPLITS:
        raise UserError(f"--split {split}: no such split; expected one of {', '.join(SPLITS)}")
    return SOURCES[source]


@dataclass(frozen=True)
class _Filtered:
    """A log as it was read and filtered, with the account of both."""

    log: SessionLog
    items: pl.DataFrame | None  # what the files tell of them, not yet checked
    rows: int
    steps: int
    left_out: dict[str, int]
    records: tuple[Record, ...]


def _read_and_filter(
    form: Format, paths: Sequence[Path], streams: Streams, rules: Sequence[Filter], *, user_history: bool
) -> _Filtered:
    """The steps in ``paths`` that ``rules`` leave; the rows that were read are let go as soon as may be."""
    raw, name = form.read(paths, streams), str(paths[0])
    if raw.frame.is_empty():
        raise UserError(f"{name}: none of its {raw.rows} rows is a step; left out: {raw.left_out}")
    rows, steps, left_out, items = raw.rows, len(raw.frame), raw.left_out, raw.items
    frame = validated(raw.frame, name, mendable=True)
    del raw
    if user_history and (TOUCHED_BY_USER not in frame.columns or not frame[TOUCHED_BY_USER].count()):
        frame = with_user_history(frame, name)
    elif user_history:
        logging.getLogger("irecgan").warning("%s: column %s is there already; it stays as it is", name, TOUCHED_BY_USER)
    frame, records = _ruled(frame, rules)
    if frame.is_empty():
        raise UserError(f"{name}: no row is left after filtering; read {steps} steps")
    mended = any(record.changed for record in records)
    log = SessionLog.from_frame(frame, name) if mended else SessionLog(frame, name, checked=True)
    return _Filtered(log, items, rows, steps, left_out, tuple(records))


def _ruled(frame: pl.DataFrame, rules: Sequence[Filter]) -> tuple[pl.DataFrame, list[Record]]:
    """What the ``rules`` leave; items that were touched or clicked at steps that go were touched before the next."""
    if TOUCHED_BETWEEN not in frame.columns:
        return apply_filters(frame, rules)
    left, records = apply_filters(frame.with_row_index(ROW), rules)
    stays = pl.int_range(len(frame), eager=True).is_in(left[ROW].implode())
    looks = pl.col(TOUCHED_BETWEEN).fill_null([])
    gone = pl.when(stays).then(looks).otherwise(pl.concat_list(looks, CLICK))
    touched = handed_on(frame.select(SESSION, gone.alias(TOUCHED_BETWEEN)), stays, SESSION)
    return left.drop(ROW).with_columns(touched[TOUCHED_BETWEEN]), records


def _write_parts(
    parts: Mapping[str, LogPart], directory: Path, given: pl.DataFrame | None, teller: str
) -> tuple[dict[str, Counts], ToldItems | None]:
    """Write each part, and the items of the train part with what ``teller`` has ``given`` of them; their extents."""
    counts, told = {}, None
    for name, part in parts.items():
        if name == "train":
            catalogue, path = Catalogue.from_log(part), items_beside(directory / f"{name}.parquet")
            if given is None:
                catalogue.write(path)
            else:
                table = item_table(catalogue.items, given, teller)
                write_frame(table, path)
                told = ToldItems.of(given, table, len(catalogue))
        part.write(directory / f"{name}.parquet")
        counts[name] = Counts.of(part.log.frame, part.rows)
    return counts, told
