import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.evaluation.offline import logged_order, random_order, rerank
from irecgan.policies.popularity import Popularity, return_weighted_counts


def sessions_of(rows: list[tuple[int, list[int], int | None]]) -> Sessions:
    """Sessions from (session, slate, click)."""
    frame = pl.DataFrame(
        {
            "session_id": [r[0] for r in rows],
            "step": range(len(rows)),
            "slate": [r[1] for r in rows],
            "click": [r[2] for r in rows],
        }
    )
    log = SessionLog.from_frame(frame)
    return encode(log, Catalogue.from_log(log))


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_logged_order_by_hand() -> None:
    """Ranks 1 and 3 in session 1, rank 2 in session 2; two steps have too few candidates, one no click."""
    sessions = sessions_of(
        [(1, [0, 1, 2], 0), (1, [3, 4, 0], 0), (2, [4, 3, 1], 3), (2, [4, 3], 3), (2, [0, 1, 2], None), (3, [0, 1], 0)]
    )
    found = rerank(logged_order, sessions, min_candidates=3, generator=generator())
    assert (found.steps, found.sessions, found.too_short) == (3, 2, 2)
    means = {name: interval.mean for name, interval in found.metrics.items()}
    assert means["p@1"] == pytest.approx(1 / 3)
    assert means["p@10"] == 1
    assert means["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    assert means["ndcg@10"] == pytest.approx((1 + 1 / 2 + 1 / np.log2(3)) / 3)


def test_no_usable_step_is_named() -> None:
    with pytest.raises(UserError, match=r"mine\.csv.*at least 4 items.*lower min_candidates"):
        rerank(logged_order, sessions_of([(1, [0, 1, 2], 0)]), min_candidates=4, generator=generator(), name="mine.csv")


def test_random_orders_hit_as_often_as_chance() -> None:
    """The negative control: on lists of 5, P@1 of a random order is 1/5."""
    sessions = sessions_of([(s, list(range(5)), s % 5) for s in range(2_000)])
    found = rerank(random_order(torch.Generator().manual_seed(0)), sessions, min_candidates=1, generator=generator())
    assert found.metrics["p@1"].mean == pytest.approx(0.2, abs=0.03)
    assert found.metrics["p@1"].low < 0.2 < found.metrics["p@1"].high


def test_a_constant_score_wins_nothing_by_ties() -> None:
    sessions = sessions_of([(s, list(range(5)), 0) for s in range(9)])

    def constant(batch: SessionBatch) -> Tensor:
        return torch.zeros(batch.slate[batch.real].shape)

    assert rerank(constant, sessions, min_candidates=1, generator=generator()).metrics["p@1"].mean == 0


def test_popularity_counts_returns_and_keeps_the_first_step_apart() -> None:
    """Gamma 0.5, lambda_r 3: a click with reward r at t weighs 1 + 3 r plus half of the next click's weight."""
    frame = pl.DataFrame(
        {
            "session_id": [1, 1, 1, 2],
            "step": [0, 1, 2, 0],
            "slate": [[0, 1], [1, 2], [0, 2], [0, 1]],
            "click": [0, 1, None, 0],
            "reward": [0.0, 1.0, 0.0, 0.0],
        }
    )
    log = SessionLog.from_frame(frame)
    sessions = encode(log, Catalogue.from_log(log))
    counts = return_weighted_counts(sessions, gamma=0.5, lambda_r=3)
    assert counts.tolist() == [[(1 + 0.5 * 4) + 1, 0, 0], [0, 4, 0]]
    scores = Popularity(counts).score_slates(sessions.batch(torch.arange(2)))
    assert scores[0].tolist() == [4, 0]  # t = 0 shows items 0 and 1
    assert scores[1].tolist() == [4, 0]  # t = 1 shows items 1 and 2
    batch = sessions.batch(torch.tensor([1]))
    strange = Popularity(counts).score_slates(replace(batch, slate=torch.where(batch.slate == 0, 3, batch.slate)))
    assert strange[0].tolist() == [-math.inf, 0]  # an unknown item is behind all others
    state = Popularity(counts).start(1)
    assert Popularity(counts).scores(state).tolist() == [[4, 0, 0]]
    later = Popularity(counts).advance(state, torch.tensor([0]))
    assert Popularity(counts).scores(later).tolist() == [[0, 4, 0]]
