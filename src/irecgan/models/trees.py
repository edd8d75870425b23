"""Boosted regression trees that score the items of a list by their features, as tensors.

They are learned elsewhere (`irecgan.training.lists.boosting`). Here they are evaluated all at once, so that who serves
them needs no library of trees, and their weights are stored as those of any other model.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from irecgan.models.terms import TermName, features_of, numbers
from irecgan.models.views import View

_CELLS = 1 << 18  # places in trees, one a row and tree, that are followed at once: they stay in the cache


@dataclass(frozen=True)
class TreeTables:
    """T trees of at most N inner nodes: from a node to ``left`` where ``feature`` is at most ``threshold``.

    A child c is the inner node c or, below 0, the leaf ~c (Ke et al., 2017, "LightGBM: a highly efficient gradient
    boosting decision tree"). Inner nodes are numbered so that children come after their parent.
    """

    feature: Tensor  # (T, N) int64
    threshold: Tensor  # (T, N) float64
    left: Tensor  # (T, N) int64
    right: Tensor  # (T, N) int64
    value: Tensor  # (T, N + 1) float64, of the leaves

    @classmethod
    def none(cls) -> "TreeTables":
        """No trees: every score is 0."""
        whole, real = torch.zeros(0, 1, dtype=torch.int64), torch.zeros(0, 1, dtype=torch.float64)
        return cls(whole, real, whole.clone(), whole.clone(), torch.zeros(0, 2, dtype=torch.float64))


class Trees(nn.Module):
    """The sum of the trees' values at the features of the terms called ``names``.

    Its tables are buffers: no gradient moves them.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor

    def __init__(self, names: Sequence[TermName]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.features = features_of(names)
        self.set_tables(TreeTables.none())

    def set_tables(self, tables: TreeTables) -> None:
        """Other trees, of any number and size. Raises ValueError where a child is not after its parent."""
        if wrong := _misfit(tables, len(self.features)):
            raise ValueError(wrong)
        for field in fields(TreeTables):
            self.register_buffer(field.name, getattr(tables, field.name).contiguous())

    def __len__(self) -> int:
        return len(self.feature)

    def reads(self, names: Collection[str]) -> bool:
        """Whether a tree asks for a feature called one of ``names``."""
        places = [place for place, feature in enumerate(self.features) if feature.name in names]
        asked = self.feature[self.threshold.isfinite()]
        return bool(torch.isin(asked, asked.new_tensor(places)).any())

    def forward(self, view: View) -> Tensor:
        """The scores of the items of ``view``. (M, K) float32"""
        values = numbers(self.features, view)  # (M, K, J)
        flat = values.flatten(0, 1).double()
        parts = flat.split(max(1, _CELLS // max(1, len(self))))
        return torch.cat([self.sums(part) for part in parts]).view(values.shape[:2]).float()

    def sums(self, values: Tensor) -> Tensor:
        """The sum over trees at each row of ``values``. (R, J) float64 -> (R,) float64"""
        trees, nodes = self.feature.shape
        tree = torch.arange(trees, device=values.device)
        feature, threshold, left, right = (
            table.flatten() for table in (self.feature, self.threshold, self.left, self.right)
        )
        node = torch.zeros(len(values), trees, dtype=torch.int64, device=values.device)
        while bool((node >= 0).any()):
            at = node.clamp(min=0) + nodes * tree
            below = values.gather(1, feature[at]) <= threshold[at]
            node = torch.where(node >= 0, torch.where(below, left[at], right[at]), node)
        return self.value.flatten()[~node + (nodes + 1) * tree].sum(1)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """As in nn.Module; but the number and the size of the trees are those of ``state_dict``."""
        given = {f.name: state_dict.get(prefix + f.name, getattr(self, f.name)) for f in fields(TreeTables)}
        wrong = _misfit(TreeTables(**given), len(self.features))
        if wrong:
            rest[-1].append(f"{prefix}trees: {wrong}")
            return
        for name, table in given.items():
            self.register_buffer(name, torch.empty_like(table))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _misfit(tables: TreeTables, features: int) -> str | None:
    """What is wrong with ``tables``, if anything."""
    shape = tables.feature.shape
    expected = {"threshold": shape, "left": shape, "right": shape, "value": (shape[0], shape[1] + 1)}
    for name, size in expected.items():
        if getattr(tables, name).shape != torch.Size(size):
            return f"{name}: found shape {tuple(getattr(tables, name).shape)}, expected {tuple(size)}"
    if tables.feature.is_meta:
        return None
    node = torch.arange(shape[1])
    for child in (tables.left, tables.right):
        if bool(((child >= 0) & (child <= node) | (child >= shape[1]) | (child < -shape[1] - 1)).any()):
            return "found a child that is not after its parent"
    if bool(((tables.feature < 0) | (tables.feature >= max(1, features))).any()):
        return f"found a split by a feature that is none of the {features}"
    return None
