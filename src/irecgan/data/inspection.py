"""A session log at a glance: its extent, its shares, and what may surprise a training."""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from irecgan.data.columns import CLICK, PROPENSITY, REWARD, SLATE, USER
from irecgan.data.filters import Counts
from irecgan.data.log import SessionLog
from irecgan.data.slices import per_session, ranks_in_slate, session_starts, slices

RANKS = 10  # shown ranks whose share of clicks is given
_TOP = 10  # items listed by clicks


@dataclass(frozen=True)
class Spread:
    """The spread of a number over sessions or steps."""

    mean: float
    least: int
    median: float
    p95: float
    most: int

    @classmethod
    def of(cls, values: pl.Series) -> "Spread":
        """The spread of whole numbers."""
        values = values.cast(pl.Float64)
        numbers = [values.mean(), values.min(), values.median(), values.quantile(0.95), values.max()]
        mean, least, median, p95, most = (float(x) for x in numbers if isinstance(x, float))
        return cls(mean, int(least), median, p95, int(most))


@dataclass(frozen=True)
class Inspection:
    """What a log holds. Shares are in [0, 1]."""

    name: str
    counts: Counts
    users: int | None
    clicked_items: int
    session_clicks: Spread
    slate_size: Spread
    click_share: float  # of steps
    reward_share: float  # of clicks with a reward other than 0
    reward_mean: float  # per click
    rank_share: list[float]  # of clicks, by shown rank from 1
    top_items: list[tuple[int | str, int]]  # by clicks
    head_share: float  # of clicks, on the most clicked tenth of the items shown
    ends_unclicked: bool
    problems: list[str]

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def inspect_log(log: SessionLog) -> Inspection:
    """Describe ``log``."""
    frame, counts = log.frame, Counts.of(log.frame)
    clicked = frame.select(CLICK, REWARD).filter(pl.col(CLICK).is_not_null())
    popularity = clicked.group_by(CLICK).len().sort(["len", CLICK], descending=[True, False])
    head = popularity["len"].head(max(1, counts.items // 10)).sum()
    rewards = clicked[REWARD]
    return Inspection(
        name=log.name,
        counts=counts,
        users=frame[USER].drop_nulls().n_unique() if USER in frame.columns else None,
        clicked_items=len(popularity),
        session_clicks=Spread.of(per_session(frame, frame[CLICK].is_not_null())),
        slate_size=Spread.of(frame[SLATE].list.len()),
        click_share=_share(counts.clicks, counts.steps),
        reward_share=_share(int((rewards != 0).sum()), counts.clicks),
        reward_mean=_share(float(rewards.sum()), counts.clicks),
        rank_share=_rank_share(frame, counts.clicks),
        top_items=list(popularity.head(_TOP).iter_rows()),
        head_share=_share(int(head), counts.clicks),
        ends_unclicked=log.ends_unclicked,
        problems=_problems(log, counts, len(popularity)),
    )


def _rank_share(frame: pl.DataFrame, clicks: int) -> list[float]:
    """The share of ``clicks`` at each shown rank up to RANKS."""
    ranks = pl.concat([ranks_in_slate(part, CLICK) for part in slices(frame)])
    return [_share(int((ranks == rank).sum()), clicks) for rank in range(RANKS)]


def _problems(log: SessionLog, counts: Counts, clicked_items: int) -> list[str]:
    """Sentences on what a training will do otherwise than one may expect."""
    frame, found = log.frame, []
    if skipped := log.skipped:
        found.append(f"{skipped} steps in mid-session have no click: training leaves them out")
    if not counts.clicks:
        found.append("no step has a click: there is nothing to learn from")
    ends = log.ends
    clicked_last = ends.sessions - ends.unclicked
    if clicked_last and ends.tell:
        found.append(f"{clicked_last} sessions end with a click: they are taken to have been cut off there")
    if not ends.tell:
        found.append(
            f"{clicked_last} sessions end with a click: the log does not tell at which slates users leave, and last "
            "slates without a click are not used in training"
        )
    single = int((session_starts(frame).append(pl.Series([len(frame)], dtype=pl.UInt32)).diff() == 1).sum())
    if single > counts.sessions / 2:
        found.append(f"{single} of {counts.sessions} sessions have one step: little can be learnt from history")
    sizes = Spread.of(frame[SLATE].list.len())
    if sizes.least < sizes.most:
        found.append(
            f"slates have {sizes.least} to {sizes.most} items: a policy shows the median, if not told otherwise"
        )
    if clicked_items < counts.items:
        found.append(f"{counts.items - clicked_items} of {counts.items} items shown are never clicked")
    if counts.items < 2:
        found.append("only one item is ever shown: there is nothing to choose")
    if PROPENSITY in frame.columns:
        unknown = frame.select((pl.col(PROPENSITY).is_null() & pl.col(CLICK).is_not_null()).sum()).item()
        if unknown:
            found.append(f"{unknown} clicks have no propensity")
    return found


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
