import polars as pl
import pytest
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.evaluation.first_list import FIRST, first_list
from irecgan.evaluation.offline import logged_order

Row = tuple[int, list[int], int | None]


def sessions_of(rows: list[Row]) -> Sessions:
    """Sessions from (session, slate, click)."""
    session, slate, click = zip(*rows, strict=True)
    log = SessionLog.from_frame(
        pl.DataFrame({"session_id": session, "step": range(len(rows)), "slate": slate, "click": click}, strict=False)
    )
    return encode(log, Catalogue.from_log(log), final_slates=True)


def test_the_first_item_of_a_session_counts_if_it_is_clicked_then_or_later() -> None:
    """Clicked at once; at the second step; never; a session without a click; a list that is too short."""
    rows: list[Row] = [
        (1, [0, 1, 2], 0),
        (2, [0, 1, 2], 1),
        (2, [2, 0, 1], 0),
        (3, [0, 1, 2], 1),
        (3, [0, 1, 2], 2),
        (4, [0, 1, 2], None),
        (5, [0, 1], 0),
    ]
    found = first_list(logged_order, sessions_of(rows), min_candidates=3)
    assert found.session.tolist() == [0, 1, 2, 3]
    assert found.sums[FIRST].tolist() == [1, 1, 0, 0]
    assert found.steps.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("clicks", "hit"), [([0], 0.0), ([0, 1], 0.0), ([0, 1, 2], 1.0)])
def test_items_that_tie_for_the_first_place_have_all_to_be_clicked(clicks: list[int], hit: float) -> None:
    def constant(batch: SessionBatch) -> Tensor:
        return torch.zeros(batch.slate[batch.real].shape)

    rows: list[Row] = [(1, [0, 1, 2], click) for click in clicks]
    assert first_list(constant, sessions_of(rows), min_candidates=1).sums[FIRST].tolist() == [hit]
