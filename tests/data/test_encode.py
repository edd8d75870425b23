import logging

import polars as pl
import pytest
import torch

from irecgan.data.batch import NOTHING
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.errors import UserError


def log(clicks: list[list[int | None]]) -> SessionLog:
    """Sessions in which the slate is always 10, 20, 30."""
    rows = [(s, t, [10, 20, 30], c) for s, session in enumerate(clicks) for t, c in enumerate(session)]
    frame = pl.DataFrame(rows, schema=["session_id", "step", "slate", "click"], orient="row")
    return SessionLog.from_frame(frame.with_columns(pl.col("click").cast(pl.Int64)))


def test_by_hand() -> None:
    sessions = encode(log([[20, None], [30, 10, None]]), Catalogue(pl.Series([30, 20, 10])))
    assert sessions.steps.tolist() == [2, 3]
    assert sessions.click.tolist() == [1, 3, 0, 2, 3]
    assert sessions.position.tolist() == [1, NOTHING, 2, 0, NOTHING]
    assert sessions.item[:3].tolist() == [2, 1, 0]
    assert sessions.slate_sizes.tolist() == [3] * 5


def test_a_last_click_gets_an_end_step_and_blanks_all_final_slates() -> None:
    sessions = encode(log([[20, None], [30]]), Catalogue(pl.Series([10, 20, 30])))
    assert sessions.steps.tolist() == [2, 2]
    assert sessions.slate_sizes.tolist() == [3, 0, 3, 0]
    assert sessions.position.tolist() == [1, NOTHING, 2, NOTHING]


def test_few_sessions_that_end_with_a_click_were_cut_off() -> None:
    sessions = encode(log([[20, None]] * 9 + [[30, 10]]), Catalogue(pl.Series([10, 20, 30])))
    assert sessions.steps.tolist() == [2] * 10
    assert sessions.slate_sizes.tolist() == [3] * 20
    assert sessions.position[-2:].tolist() == [2, 0]


def test_unclicked_steps_in_mid_session_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        sessions = encode(log([[20, None, 10, None]]), Catalogue(pl.Series([10, 20, 30])))
    assert sessions.position.tolist() == [1, 0, NOTHING]
    assert "1 steps in mid-session" in caplog.text


def test_an_unknown_item_keeps_its_place() -> None:
    sessions = encode(log([[20, 10, None]]), Catalogue(pl.Series([10, 30])))
    assert sessions.click.tolist() == [2, 0, 2]
    assert sessions.position.tolist() == [1, 0, NOTHING]
    batch = sessions.batch(torch.tensor([0]))
    assert bool(batch.shown.all())
    assert batch.clicked.tolist() == [[True, True, False]]


def test_the_item_touched_last_is_the_last_click_known_or_not_by_its_rank() -> None:
    sessions = encode(log([[20, 10, None], [30, None]]), Catalogue(pl.Series([10, 30])))
    assert sessions.touched is not None
    assert sessions.touched.tolist() == [NOTHING, 1, 0, NOTHING, 2]


def test_what_a_log_says_was_touched_goes_before_the_last_click() -> None:
    frame = log([[20, 10, None], [30, 10]]).frame
    said = SessionLog.from_frame(frame.with_columns(last_touched=pl.Series(["30", None, "007", "7", "10"])))
    sessions = encode(said, Catalogue(pl.Series([10, 20, 30])))
    assert sessions.touched is not None
    assert sessions.touched.tolist() == [2, NOTHING, NOTHING, NOTHING, 0, NOTHING]  # the added end step shows nothing


def test_touched_items_that_are_no_ids_are_named() -> None:
    frame = log([[20, 10]]).frame
    with pytest.raises(UserError, match="column last_touched: found type Boolean; expected item ids"):
        SessionLog.from_frame(frame.with_columns(last_touched=pl.lit(True)))


def test_ids_of_another_type_are_unknown_or_matched_by_writing() -> None:
    catalogue = Catalogue(pl.Series(["10", "x"]))
    assert encode(log([[10, None]]), catalogue).click.tolist() == [0, 2]
    assert Catalogue(pl.Series([7, 8])).index(pl.Series(["8", "007", None])).tolist() == [1, 2, 2]


@pytest.mark.parametrize("items", [[1], []])
def test_a_catalogue_without_a_choice_is_refused(items: list[int]) -> None:
    with pytest.raises(UserError, match="expected at least 2"):
        Catalogue(pl.Series(items, dtype=pl.Int64))


@pytest.mark.parametrize("ids", [[30, 10, 20], ["pear", "apple", "fig"]])
def test_few_ids_are_found_in_a_large_catalogue_as_in_a_small_one(
    ids: list[int | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue(pl.Series("item_id", ids))
    wanted = [str(ids[2]), "7", str(ids[0]), "zebra", str(ids[1]), "010"]
    assert catalogue.index_any(wanted).tolist() == [2, 3, 0, 3, 1, 3]
    monkeypatch.setattr("irecgan.data.catalogue._FEW", 0)
    assert catalogue.index_any(wanted).tolist() == [2, 3, 0, 3, 1, 3]
