import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irecgan.evaluation.metrics import coverage, hit_rate, ndcg, reciprocal_rank
from irecgan.policies.ranking import conservative_rank


def rank_of(scores: list[float], position: int) -> int:
    row = torch.tensor([scores])
    return int(conservative_rank(row, torch.ones_like(row, dtype=torch.bool), torch.tensor([position])))


def test_ranks_by_hand() -> None:
    scores = [0.1, 0.9, 0.5]
    assert [rank_of(scores, position) for position in range(3)] == [3, 1, 2]


def test_ties_count_against_the_ranking() -> None:
    assert rank_of([1.0, 1.0, 1.0, 1.0], 0) == 4
    assert rank_of([2.0, 1.0, 1.0], 1) == 3
    assert rank_of([-torch.inf, 0.0, -torch.inf], 0) == 3


def test_padding_is_not_a_candidate() -> None:
    scores = torch.tensor([[0.1, 0.2, 9.0, 9.0]])
    shown = torch.tensor([[True, True, False, False]])
    assert conservative_rank(scores, shown, torch.tensor([0])).tolist() == [2]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        rank_of([0.0, torch.nan], 0)
    padded = torch.tensor([[0.0, torch.nan]])
    assert conservative_rank(padded, torch.tensor([[True, False]]), torch.tensor([0])).tolist() == [1]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.data())
def test_the_rank_is_the_worst_that_any_order_of_ties_gives(scores: list[int], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(scores) - 1))
    worst = sum(score >= scores[position] for score in scores)
    assert rank_of([float(score) for score in scores], position) == worst


def test_metrics_by_hand() -> None:
    rank = torch.tensor([1, 2, 10, 11])
    assert hit_rate(rank, 1).tolist() == [1, 0, 0, 0]
    assert hit_rate(rank, 10).tolist() == [1, 1, 1, 0]
    assert reciprocal_rank(rank).tolist() == pytest.approx([1, 1 / 2, 1 / 10, 1 / 11])
    assert ndcg(rank, 10).tolist() == pytest.approx([1, 0.63092975, 0.28906483, 0])


def test_coverage_by_hand() -> None:
    ranking = torch.tensor([[3, 1, 0, 2], [0, 1, 2, 3]])  # best first, of two states
    slate = torch.tensor([[3, 0], [3, 0]])
    found = coverage(slate, torch.tensor([0, 1]), ranking, 4)
    assert found[0].tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert found[1].tolist() == pytest.approx([1, 1 / 2, 1 / 3, 2 / 4])
