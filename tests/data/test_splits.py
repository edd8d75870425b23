import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irecgan.data.log import SessionLog
from irecgan.data.splits import PARTS, split_log
from irecgan.errors import UserError
from irecgan.seeding import Streams


def log_of(sessions: int, **columns: list[object]) -> SessionLog:
    """Sessions of two steps."""
    frame = pl.DataFrame(
        {
            "session_id": [s for s in range(sessions) for _ in range(2)],
            "step": [0, 1] * sessions,
            "slate": [[1, 2]] * 2 * sessions,
            "click": [1, None] * sessions,
            **columns,
        },
        strict=False,
    )
    return SessionLog.from_frame(frame)


@given(st.integers(6, 60), st.integers(0, 5), st.sampled_from(["random", "time", "user"]))
def test_parts_hold_every_session_once_and_whole(sessions: int, seed: int, kind: str) -> None:
    times: list[object] = list(range(2 * sessions))
    users: list[object] = [s for s in range(sessions) for _ in range(2)]
    log = log_of(sessions, timestamp=times, user_id=users)
    parts = split_log(log, kind, Streams(seed))
    assert list(parts) == list(PARTS)
    ids = [session for part in parts.values() for session in part.frame["session_id"].unique()]
    assert sorted(ids) == list(range(sessions))
    assert all(part.steps == 2 * part.sessions for part in parts.values())
    assert parts["train"].sessions == int(0.8 * sessions)


@pytest.mark.parametrize(
    ("shares", "sessions", "expected"),
    [((0.3, 0.35, 0.35), 40, [12, 14, 14]), ((0.05, 0.05, 0.9), 20, [1, 1, 18]), ((0.8, 0.1, 0.1), 25, [20, 2, 3])],
)
def test_shares_that_are_whole_numbers_of_sessions_are_these(
    shares: tuple[float, float, float], sessions: int, expected: list[int]
) -> None:
    parts = split_log(log_of(sessions), "random", Streams(0), shares)
    assert [part.sessions for part in parts.values()] == expected


def test_time_cuts_by_the_last_event_of_a_session() -> None:
    times: list[object] = [t for s in range(20) for t in (0, 100 - s)]
    parts = split_log(log_of(20, timestamp=times), "time", Streams(0))
    assert sorted(parts["test"].frame["session_id"].unique().to_list()) == [0, 1]
    ends: list[object] = [s for s in range(20) for _ in range(2)]
    parts = split_log(log_of(20, timestamp=times, last_event=ends), "time", Streams(0))
    assert sorted(parts["test"].frame["session_id"].unique().to_list()) == [18, 19]


def test_times_that_are_text_are_read_as_times() -> None:
    numbers: list[object] = [str(s) for s in range(20) for _ in range(2)]
    parts = split_log(log_of(20, timestamp=numbers), "time", Streams(0))
    assert sorted(parts["test"].frame["session_id"].unique().to_list()) == [18, 19]
    with pytest.raises(UserError, match="column timestamp: found '3/12/2024'; expected a number, or an ISO date"):
        split_log(log_of(20, timestamp=[*["2024-12-03"] * 39, "3/12/2024"]), "time", Streams(0))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([*range(39), float("nan")], "session 19: column timestamp: found nan; expected a number, or an ISO date"),
        ([*map(str, range(39)), "inf"], "session 19: column timestamp: found 'inf'; expected a number"),
        (["03/04/2024"] * 40, "session 0: column timestamp: found '03/04/2024'; expected a number, or an ISO date"),
        ([[1]] * 40, r"column timestamp: found type List\(Int64\); expected numbers or ISO dates"),
        ([{"day": 1}] * 40, "column timestamp: found type Struct.*; expected numbers or ISO dates"),
        ([True] * 40, "column timestamp: found type Boolean; expected numbers or ISO dates"),
    ],
)
def test_what_is_no_time_is_named(times: list[object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_log(log_of(20, timestamp=times), "time", Streams(0))


def test_times_of_fixed_categories_are_read_as_times_too() -> None:
    days = [f"2024-01-{day + 1:02}" for day in range(20)]
    log = log_of(20)
    last_first = pl.Series("timestamp", [day for day in days for _ in range(2)], dtype=pl.Enum(days[::-1]))
    parts = split_log(SessionLog(log.frame.with_columns(last_first)), "time", Streams(0))
    assert sorted(parts["test"].frame["session_id"].unique().to_list()) == [18, 19]


def test_shares_that_no_log_fills_are_refused() -> None:
    with pytest.raises(UserError, match="has 20 session_id values after filtering; expected larger shares"):
        split_log(log_of(20), "random", Streams(0), (1.0, 1.0, 1e-20))


def test_users_stay_together() -> None:
    users: list[object] = [s // 3 for s in range(60) for _ in range(2)]
    parts = split_log(log_of(60, user_id=users), "user", Streams(0))
    seen = [set(part.frame["user_id"]) for part in parts.values()]
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & seen[2]


def test_a_seed_decides_a_random_split() -> None:
    def tests(seed: int) -> list[int]:
        return split_log(log_of(50), "random", Streams(seed))["test"].frame["session_id"].to_list()

    assert tests(1) == tests(1)
    assert tests(1) != tests(2)


def test_what_a_split_needs_is_named() -> None:
    with pytest.raises(UserError, match="missing column timestamp"):
        split_log(log_of(20), "time", Streams(0))
    with pytest.raises(UserError, match="missing column user_id"):
        split_log(log_of(20), "user", Streams(0))
    with pytest.raises(UserError, match="several users"):
        split_log(log_of(20, user_id=list(range(40))), "user", Streams(0))
    with pytest.raises(UserError, match="column user_id: found an empty value"):
        split_log(log_of(20, user_id=[None] * 40), "user", Streams(0))
    with pytest.raises(UserError, match="column user_id: found an empty value"):
        split_log(log_of(20, user_id=[*["u"] * 20, *[""] * 20]), "user", Streams(0))
    with pytest.raises(UserError, match="has 5 session_id values after filtering; expected at least 6 to split"):
        split_log(log_of(5), "random", Streams(0))
    with pytest.raises(UserError, match="expected at least 21 to split"):
        split_log(log_of(20), "random", Streams(0), (0.95, 0.025, 0.025))


def test_parts_follow_their_shares() -> None:
    parts = split_log(log_of(200), "random", Streams(0), (6.0, 1.0, 3.0))
    assert [part.sessions for part in parts.values()] == [120, 20, 60]
