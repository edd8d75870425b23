import pytest
import torch

from irecgan.models.batch_view import BatchView
from irecgan.models.terms import numbers
from irecgan.models.trees import Trees, TreeTables
from random_sessions import random_sessions, statistics_of

INF = torch.inf


def two_trees() -> TreeTables:
    """By popularity: up to .5 a 1, above it 2 or, from 2 on, 4; and one leaf of 10."""
    return TreeTables(
        feature=torch.tensor([[0, 0], [0, 0]]),
        threshold=torch.tensor([[0.5, 2.0], [INF, INF]], dtype=torch.float64),
        left=torch.tensor([[~0, ~1], [~0, ~0]]),
        right=torch.tensor([[1, ~2], [~0, ~0]]),
        value=torch.tensor([[1.0, 2.0, 4.0], [10.0, 0.0, 0.0]], dtype=torch.float64),
    )


def test_sums_by_hand() -> None:
    trees = Trees(["popularity"])
    assert trees.sums(torch.zeros(2, 1, dtype=torch.float64)).tolist() == [0, 0]
    trees.set_tables(two_trees())
    assert trees.sums(torch.tensor([[0.0], [0.5], [1.0], [2.0], [2.1]], dtype=torch.float64)).tolist() == [
        11,
        11,
        12,
        12,
        14,
    ]


def test_scores_are_of_the_features_of_a_view() -> None:
    sessions = random_sessions(3)
    trees = Trees(["popularity"])
    trees.set_tables(two_trees())
    view = BatchView(sessions.batch(torch.arange(len(sessions))), statistics_of(sessions))
    clicks = numbers(trees.features, view)[..., 0].expm1()
    expected = torch.where(clicks.log1p() <= 0.5, 11.0, torch.where(clicks.log1p() <= 2, 12.0, 14.0))
    assert torch.equal(trees(view), expected)
    assert len(expected.unique()) > 1


def test_an_order_that_is_not_read_is_as_if_all_stood_first() -> None:
    sessions = random_sessions(4)
    batch, trees = sessions.batch(torch.arange(len(sessions))), Trees(["rank"])
    trees.set_tables(two_trees())
    statistics = statistics_of(sessions)
    assert trees(BatchView(batch, statistics, ranked=False)).unique().tolist() == [11]
    assert trees(BatchView(batch, statistics))[0, :4].tolist() == [11, 12, 12, 14]


def test_trees_of_any_size_are_loaded_and_misfits_refused() -> None:
    trees, other = Trees(["popularity"]), Trees(["popularity"])
    trees.set_tables(two_trees())
    other.load_state_dict(trees.state_dict())
    assert torch.equal(other.value, trees.value)
    endless = {**trees.state_dict(), "right": torch.tensor([[1, 1], [~0, ~0]])}
    with pytest.raises(RuntimeError, match="found a child that is not after its parent"):
        other.load_state_dict(endless)
    short = {**trees.state_dict(), "value": torch.zeros(2, 2, dtype=torch.float64)}
    with pytest.raises(RuntimeError, match=r"value: found shape \(2, 2\), expected \(2, 3\)"):
        other.load_state_dict(short)
    strange = {**trees.state_dict(), "feature": torch.tensor([[0, 1], [0, 0]])}
    with pytest.raises(RuntimeError, match="a feature that is none of the 1"):
        other.load_state_dict(strange)
