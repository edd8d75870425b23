import math
import sys

import numpy as np
import pytest
import torch

from irecgan.errors import UserError
from irecgan.models.trees import Trees, TreeTables
from irecgan.training.lists.boosting import best_scale, fit_trees
from irecgan.training.lists.dataset import ClickedLists, within_lists

NAMES = ("rank", "popularity, more or less")


def lists(count: int, seed: int, size: int = 5) -> ClickedLists:
    """The item whose two features are both above a half is clicked, if there is one; else chance decides."""
    g = torch.Generator().manual_seed(seed)
    values = torch.rand(count * size, 2, generator=g)
    both = (values > 0.5).all(1).view(count, size)
    clicked = torch.multinomial(both.double() * 100 + 1, 1, generator=g).squeeze(1)
    start = torch.arange(count + 1) * size
    return ClickedLists(values, start, start[:-1] + clicked, count)


def likelihood(tables: TreeTables, of: ClickedLists) -> float:
    trees = Trees(["repeat", "popularity"])
    trees.set_tables(tables)
    return float(within_lists(trees.sums(of.values.double()), of)[1].mean())


@pytest.fixture(scope="module")
def fitted() -> TreeTables:
    return fit_trees(lists(800, 0), lists(300, 1), NAMES, leaves=4, seed=3)


def test_it_finds_what_only_two_features_together_tell(fitted: TreeTables) -> None:
    chance = math.log(1 / 5)
    assert likelihood(fitted, lists(300, 2)) > chance + 0.4
    assert best_scale(_sums(fitted, lists(300, 1)), lists(300, 1)) == pytest.approx(1, abs=1e-6)


def test_same_seed_same_trees_another_seed_others(fitted: TreeTables) -> None:
    again, other = (fit_trees(lists(800, 0), lists(300, 1), NAMES, leaves=4, seed=seed) for seed in (3, 4))
    assert all(torch.equal(getattr(again, name), getattr(fitted, name)) for name in vars(fitted))
    assert other.value.shape != fitted.value.shape or not torch.equal(other.value, fitted.value)


def test_tables_are_the_trees_that_lightgbm_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    boosters, train = [], lightgbm.train

    def remembered(*args: object, **kwargs: object) -> object:
        boosters.append(train(*args, **kwargs))
        return boosters[-1]

    monkeypatch.setattr(lightgbm, "train", remembered)
    tables = fit_trees(lists(400, 0), lists(200, 1), NAMES, leaves=8, seed=0)
    new = lists(100, 2).values
    theirs = torch.from_numpy(np.asarray(boosters[0].predict(new.numpy()), dtype=np.float64))
    trees = Trees(["repeat", "popularity"])
    trees.set_tables(tables)
    ours = trees.sums(new.double())
    torch.testing.assert_close(ours / theirs, (ours[0] / theirs[0]).expand(len(new)))


def test_scale_by_hand() -> None:
    """Of two items one has a score of 1; it is clicked three times of four."""
    clicked = torch.tensor([0, 2, 4, 7])
    four = ClickedLists(torch.zeros(8, 1), torch.arange(5) * 2, clicked, 4)
    scores = torch.tensor([1.0, 0.0] * 4, dtype=torch.float64)
    assert best_scale(scores, four) == pytest.approx(math.log(3))
    assert best_scale(torch.zeros(8, dtype=torch.float64), four) == 1
    assert best_scale(-scores, four) == 1 / 16  # they say the opposite: next to nothing


def test_without_held_out_lists_no_tree_is_learned() -> None:
    none = ClickedLists(torch.zeros(0, 2), torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), 3)
    assert len(fit_trees(lists(50, 0), none, NAMES, leaves=4, seed=0).feature) == 0


def test_what_is_missing_or_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="found a list of 10001 items; boosting takes at most 10000"):
        fit_trees(lists(1, 0, size=10_001), lists(5, 1), NAMES, leaves=4, seed=0)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(UserError, match=r"LightGBM is missing; expected pip install 'irecgan\[boosting\]'"):
        fit_trees(lists(5, 0), lists(5, 1), NAMES, leaves=4, seed=0)


def _sums(tables: TreeTables, of: ClickedLists) -> torch.Tensor:
    trees = Trees(["repeat", "popularity"])
    trees.set_tables(tables)
    return trees.sums(of.values.double())
