"""Boosted trees that rank lists, learned by LightGBM."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from irecgan.errors import UserError
from irecgan.models.trees import TreeTables
from irecgan.training.lists.dataset import ClickedLists, within_lists

_SETTINGS: Mapping[str, Any] = {
    "objective": "rank_xendcg",
    "metric": "None",
    "learning_rate": 0.05,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "use_missing": False,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
_TREES = 2_000  # at most
_WAIT = 50  # trees without a better held-out likelihood before it stops
_LONGEST = 10_000  # items of a list that LightGBM ranks
_STEPS = 50


def fit_trees(learn: ClickedLists, stop_by: ClickedLists, names: Sequence[str], leaves: int, seed: int) -> TreeTables:
    """Trees of ``leaves`` leaves whose scores are log-odds of clicks within a list.

    The objective is the listwise cross-entropy of Bruch (2021, "An alternative cross entropy loss for
    learning-to-rank"). Its scores are in no unit; what multiplies them to make the clicks of ``stop_by`` likeliest is
    put into the trees, and how many of them there are is where these are likeliest.

    Args:
        learn: lists that the trees are learned from.
        stop_by: held-out lists; without any, no tree is learned.
        names: of the columns of the lists.
        leaves: at most, of a tree.
        seed: of the shares of rows and columns that a tree is learned from.

    Raises:
        UserError: LightGBM is missing, or a list is too long for it.

    """
    lightgbm = _lightgbm()
    if not len(learn) or not len(stop_by):
        return TreeTables.none()
    train = _dataset(lightgbm, learn, names)
    held_out = _dataset(lightgbm, stop_by, names, reference=train)

    def held_out_likelihood(scores: Any, _: Any) -> tuple[str, float, bool]:
        raw = torch.from_numpy(np.asarray(scores, dtype=np.float64))
        return "likelihood", _likelihood(raw, best_scale(raw, stop_by), stop_by), True

    booster = lightgbm.train(
        {**_SETTINGS, "num_leaves": leaves, "seed": seed},
        train,
        _TREES,
        valid_sets=[held_out],
        feval=held_out_likelihood,
        callbacks=[lightgbm.early_stopping(_WAIT, verbose=False)],
    )
    raw = torch.from_numpy(np.asarray(booster.predict(stop_by.values.numpy()), dtype=np.float64))
    trees = booster.dump_model(num_iteration=booster.best_iteration)["tree_info"]
    return tables_of([tree["tree_structure"] for tree in trees], leaves, best_scale(raw, stop_by))


def best_scale(scores: Tensor, lists: ClickedLists) -> float:
    """What to multiply ``scores`` (R,) with so that the clicks of ``lists`` are likeliest; by Newton's method.

    Where larger is always likelier, or nothing is, the scores stay nearly as they are: within 1/16 and 16 times.
    """
    scale, owner = 1.0, lists.owner
    for _ in range(_STEPS):
        chance, _ = within_lists(scale * scores, lists)
        mean, square = (
            torch.zeros(len(lists), dtype=torch.float64).index_add(0, owner, chance * scores**power) for power in (1, 2)
        )
        slope, curvature = (scores[lists.clicked] - mean).sum(), (square - mean**2).sum()
        if float(curvature) <= 0:
            break
        moved = min(max(scale + float(slope / curvature), scale / 2), scale * 2, 16.0)
        moved = max(moved, 1 / 16)
        if abs(moved - scale) <= 1e-9 * scale:
            break
        scale = moved
    return scale


def _likelihood(scores: Tensor, scale: float, lists: ClickedLists) -> float:
    return float(within_lists(scale * scores, lists)[1].mean())


def tables_of(trees: Sequence[Mapping[str, Any]], leaves: int, scale: float) -> TreeTables:
    """The tables of trees as LightGBM's ``dump_model`` gives them, their values multiplied by ``scale``."""
    shape = (len(trees), max(1, leaves - 1))
    feature, left, right = torch.zeros(shape, dtype=torch.int64), torch.full(shape, -1), torch.full(shape, -1)
    threshold = torch.full(shape, torch.inf, dtype=torch.float64)
    value = torch.zeros(shape[0], shape[1] + 1, dtype=torch.float64)
    for i, root in enumerate(trees):
        for node in _nodes(root):
            if "split_index" in node:
                at = node["split_index"]
                feature[i, at], threshold[i, at] = node["split_feature"], node["threshold"]
                left[i, at], right[i, at] = _number(node["left_child"]), _number(node["right_child"])
            else:
                value[i, node.get("leaf_index", 0)] = scale * node["leaf_value"]
    return TreeTables(feature, threshold, left, right, value)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for side in ("left_child", "right_child"):
        if side in node:
            yield from _nodes(node[side])


def _number(node: Mapping[str, Any]) -> int:
    """Of an inner node, or ~ that of a leaf."""
    inner = node.get("split_index")
    return int(inner) if inner is not None else ~int(node["leaf_index"])


def _dataset(lightgbm: ModuleType, lists: ClickedLists, names: Sequence[str], reference: Any = None) -> Any:
    sizes = lists.start.diff()
    if int(sizes.max()) > _LONGEST:
        raise UserError(f"column slate: found a list of {int(sizes.max())} items; boosting takes at most {_LONGEST}")
    label = torch.zeros(len(lists.values)).index_fill(0, lists.clicked, 1.0)
    return lightgbm.Dataset(
        lists.values.numpy(),
        label=label.numpy(),
        group=sizes.numpy(),
        feature_name=[name.replace(",", "").replace(" ", "_") for name in names],
        reference=reference,
    )


def has_lightgbm() -> bool:
    """Whether trees can be learned here: LightGBM is an extra of the installation."""
    return find_spec("lightgbm") is not None


def _lightgbm() -> ModuleType:
    try:
        import lightgbm  # noqa: PLC0415
    except ImportError:
        raise UserError("recipe boosting: LightGBM is missing; expected pip install 'irecgan[boosting]'") from None
    return lightgbm
