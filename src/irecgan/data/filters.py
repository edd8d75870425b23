"""Filters of a session log, each named and counted: nothing is dropped silently."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import polars as pl

from irecgan.data.columns import CLICK, REWARD, SESSION, SLATE
from irecgan.data.slices import items_shown, mapped
from irecgan.errors import UserError


@dataclass(frozen=True)
class Counts:
    """The extent of a log."""

    sessions: int
    steps: int
    clicks: int
    rewarded: int  # clicks with a reward other than 0
    shown: int  # entries of all slates
    items: int  # distinct items shown

    @classmethod
    def of(cls, frame: pl.DataFrame, rows: pl.Series | None = None) -> "Counts":
        """The extent of a frame with the columns of a session log, or of ``rows`` (Boolean) of it."""
        narrow = frame.select(pl.selectors.by_name(SESSION, CLICK, REWARD, require_all=False), pl.col(SLATE).list.len())
        if rows is not None:
            narrow = narrow.filter(rows)
        rewarded = int((narrow[REWARD] != 0).sum()) if REWARD in narrow.columns else 0
        items = len(items_shown(frame, rows))
        shown = int(narrow[SLATE].cast(pl.Int64).sum())
        return cls(narrow[SESSION].n_unique(), len(narrow), narrow[CLICK].count(), rewarded, shown, items)


@dataclass(frozen=True)
class Record:
    """What one filter did."""

    name: str
    reason: str
    before: Counts
    after: Counts

    @property
    def changed(self) -> bool:
        """Whether it dropped anything."""
        return self.before != self.after

    def to_json(self) -> dict[str, Any]:
        """The filter, what was read, kept and dropped."""
        before, after = asdict(self.before), asdict(self.after)
        dropped = {key: before[key] - after[key] for key in before}
        return {"filter": self.name, "reason": self.reason, "read": before, "kept": after, "dropped": dropped}


class Filter(Protocol):
    """A rule by which rows, or items of slates, are dropped."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        ...

    @property
    def reason(self) -> str:
        """Why something is dropped, in a few words."""
        ...

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that stay."""
        ...


@dataclass(frozen=True)
class RepeatsInSlate:
    """An item that stands twice in a slate keeps its first place."""

    name: str = "repeats-in-slate"
    reason: str = "the item stands earlier in the same slate"

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Slates without repeats."""
        return mapped(frame, self._mended)

    def _mended(self, part: pl.DataFrame) -> pl.DataFrame:
        if (part[SLATE].list.n_unique() == part[SLATE].list.len()).all():
            return part
        return part.with_columns(pl.col(SLATE).list.unique(maintain_order=True))


@dataclass(frozen=True)
class ClickOutsideSlate:
    """A click on an item that was not shown teaches nothing of the slate."""

    name: str = "click-outside-slate"
    reason: str = "the clicked item is not in the slate"

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Steps whose click, if any, is in the slate."""
        inside = pl.col(SLATE).list.contains(pl.col(CLICK))
        return mapped(frame, lambda part: _kept(part, pl.col(CLICK).is_null() | inside))


@dataclass(frozen=True)
class TopItems:
    """The ``limit`` most clicked items stay; ties go to the smaller id."""

    limit: int
    name: str = "top-items"

    def __post_init__(self) -> None:
        if self.limit < 2:
            raise UserError(f"--top-items: found {self.limit}, expected at least 2")

    @property
    def reason(self) -> str:
        """The limit."""
        return f"not among the {self.limit} most clicked items"

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Slates of the items that stay, and the steps whose click does."""
        clicks = frame.group_by(CLICK).len().drop_nulls(CLICK).sort(["len", CLICK], descending=[True, False])
        return _only(frame, clicks[CLICK].head(self.limit))


@dataclass(frozen=True)
class NeverClicked:
    """Items that nobody ever clicked leave the slates, as in the paper's section 7.2."""

    name: str = "never-clicked"
    reason: str = "nobody ever clicked the item"

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Slates of clicked items."""
        return _only(frame, frame[CLICK].drop_nulls().unique())


@dataclass(frozen=True)
class SessionLength:
    """Sessions with too few or too many clicks are dropped whole."""

    least: int = 0
    most: int | None = None
    name: str = "session-length"

    def __post_init__(self) -> None:
        if self.least < 0 or (self.most is not None and self.most < max(1, self.least)):
            raise UserError(
                f"--min-clicks, --max-clicks: found {self.least} and {self.most}, expected 0 <= least <= most"
            )

    @property
    def reason(self) -> str:
        """The limits."""
        upper = "" if self.most is None else f" or more than {self.most}"
        return f"sessions of fewer than {self.least}{upper} clicks"

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The sessions within the limits."""
        clicks = pl.col(CLICK).count().over(SESSION)
        return _kept(frame, clicks.is_between(self.least, self.most or len(frame)))


def apply_filters(frame: pl.DataFrame, filters: Sequence[Filter]) -> tuple[pl.DataFrame, list[Record]]:
    """The frame after all ``filters`` in order, and what each did."""
    records, before = [], Counts.of(frame)
    for rule in filters:
        kept = rule.apply(frame)
        after = before if kept is frame else Counts.of(kept)
        records.append(Record(rule.name, rule.reason, before, after))
        frame, before = kept, after
    return frame, records


def _kept(frame: pl.DataFrame, rows: pl.Expr) -> pl.DataFrame:
    """The ``rows`` that stay; the frame itself, not a copy, where all do."""
    stay = frame.select(rows).to_series()
    return frame if stay.all() and not stay.has_nulls() else frame.filter(stay)


def _only(frame: pl.DataFrame, items: pl.Series) -> pl.DataFrame:
    """The frame with only ``items`` in its slates, without slates that become empty and clicks on others."""
    known = items.implode()
    kept = pl.col(SLATE).list.eval(pl.element().filter(pl.element().is_in(known)))
    full = pl.col(SLATE).list.len() > 0
    clicked = pl.col(CLICK).is_null() | pl.col(CLICK).is_in(known)
    return mapped(frame, lambda part: part.with_columns(kept).filter(full, clicked))
