from dataclasses import replace

import polars as pl
import torch

from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.policies.last_first import LastFirst
from irecgan.policies.popularity import Popularity
from irecgan.policies.ranking import conservative_rank

COUNTS = torch.tensor([[3.0, 2.0, 1.0], [1.0, 5.0, 2.0]])  # at t = 0, and later


def encoded(frame: pl.DataFrame, items: list[int]) -> Sessions:
    return encode(SessionLog.from_frame(frame), Catalogue(pl.Series(items)))


def frame() -> pl.DataFrame:
    """The second list holds the first click, the third not the second one; item 40 is not in the catalogue."""
    slates, clicks = [[10, 20, 40], [20, 40, 10], [30, 20], [10, 30, 20]], [40, 10, 20, None]
    return pl.DataFrame({"session_id": [1] * 4, "step": range(4), "slate": slates, "click": clicks})


def test_slates_by_hand_whether_the_catalogue_knows_the_last_item_or_not() -> None:
    scores = LastFirst(Popularity(COUNTS)).score_slates(encoded(frame(), [10, 20, 30]).batch(torch.tensor([0])))
    orders = [row.argsort(descending=True).tolist() for row in scores]
    assert orders == [[0, 1, 2], [1, 0, 2], [0, 1, 2], [2, 0, 1]]


def test_what_the_log_says_was_touched_goes_before_the_last_click() -> None:
    said = frame().with_columns(last_touched=pl.Series([20, None, 20, 30]))
    scores = LastFirst(Popularity(COUNTS)).score_slates(encoded(said, [10, 20, 30]).batch(torch.tensor([0])))
    orders = [row.argsort(descending=True).tolist() for row in scores]
    assert orders == [[1, 0, 2], [0, 1, 2], [1, 0, 2], [1, 0, 2]]


def test_sessions_from_no_log_are_ranked_by_their_clicks() -> None:
    logged = encoded(frame(), [10, 20, 30, 40]).batch(torch.tensor([0]))
    baseline = LastFirst(Popularity(torch.ones(2, 4)))
    made = baseline.score_slates(replace(logged, touched=None))
    assert torch.equal(made, baseline.score_slates(logged))


def test_an_unknown_last_click_of_no_log_is_not_taken_for_another_unknown_item() -> None:
    batch = replace(encoded(frame(), [10, 30]).batch(torch.tensor([0])), touched=None)  # 20 and 40 are unknown
    scores = LastFirst(Popularity(torch.ones(2, 2))).score_slates(batch)
    assert scores[1].argmax() == 0


def test_no_two_items_of_a_list_score_alike_so_ties_cost_nothing() -> None:
    batch = encoded(frame(), [10, 20, 30]).batch(torch.tensor([0]))
    scores = LastFirst(Popularity(COUNTS)).score_slates(batch)
    used = batch.clicked[batch.real]
    ranks = conservative_rank(scores[used], batch.shown[batch.real][used], batch.position[batch.real][used])
    assert ranks.tolist() == [3, 3, 2]


def test_the_ranker_falls_back_on_popularity() -> None:
    ranker = LastFirst(Popularity(COUNTS))
    start = ranker.start(3)
    assert ranker.scores(start).argsort(descending=True)[0].tolist() == [0, 1, 2]
    state = ranker.advance(start, torch.tensor([2, 0, 3]))  # 3 is no item of the catalogue
    orders = ranker.scores(state).argsort(descending=True).tolist()
    assert orders == [[2, 1, 0], [0, 1, 2], [1, 2, 0]]
    assert torch.equal(ranker.scores(state.take(torch.tensor([1, 1]))), ranker.scores(state)[[1, 1]])
    assert torch.equal(ranker.scores(state.join([start])), torch.cat([ranker.scores(state), ranker.scores(start)]))
