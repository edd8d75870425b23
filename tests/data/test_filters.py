from itertools import pairwise

import polars as pl
import pytest

from irecgan.data.filters import (
    ClickOutsideSlate,
    Counts,
    NeverClicked,
    RepeatsInSlate,
    SessionLength,
    TopItems,
    apply_filters,
)
from irecgan.errors import UserError

FRAME = pl.DataFrame(
    {
        "session_id": [1, 1, 1, 2, 3],
        "slate": [["a", "b", "a"], ["c", "d"], ["b", "c"], ["d", "e"], ["a", "c"]],
        "click": ["a", "x", "b", None, "a"],
    }
)


def test_repeats_keep_their_first_place() -> None:
    kept = RepeatsInSlate().apply(FRAME)
    assert kept["slate"][0].to_list() == ["a", "b"]
    assert len(kept) == len(FRAME)


def test_clicks_outside_the_slate_take_their_step_along() -> None:
    kept = ClickOutsideSlate().apply(FRAME)
    assert kept["click"].to_list() == ["a", "b", None, "a"]


def test_top_items_go_by_clicks() -> None:
    kept = TopItems(2).apply(ClickOutsideSlate().apply(FRAME))
    assert kept["slate"].to_list() == [["a", "b", "a"], ["b"], ["a"]]
    assert kept["click"].to_list() == ["a", "b", "a"]


def test_never_clicked_items_leave_the_slates_in_order() -> None:
    kept = NeverClicked().apply(ClickOutsideSlate().apply(FRAME))
    assert kept["slate"].to_list() == [["a", "b", "a"], ["b"], ["a"]]


def test_sessions_go_by_their_clicks() -> None:
    assert SessionLength(1, 2).apply(FRAME)["session_id"].to_list() == [3]
    assert SessionLength(0).apply(FRAME).equals(FRAME)
    assert SessionLength(2).apply(FRAME)["session_id"].unique().to_list() == [1]


def test_every_filter_is_counted() -> None:
    frame, records = apply_filters(FRAME, [RepeatsInSlate(), ClickOutsideSlate(), SessionLength(1)])
    assert [record.name for record in records] == ["repeats-in-slate", "click-outside-slate", "session-length"]
    dropped = [record.to_json()["dropped"] for record in records]
    assert [d["shown"] for d in dropped] == [1, 2, 2]
    assert [d["steps"] for d in dropped] == [0, 1, 1]
    assert records[-1].after == Counts.of(frame)
    for one, other in pairwise(records):
        assert one.after == other.before


def test_limits_out_of_range_are_named() -> None:
    with pytest.raises(UserError, match="--top-items: found 1"):
        TopItems(1)
    with pytest.raises(UserError, match="--min-clicks"):
        SessionLength(5, 4)
