"""What item and context columns say, as vectors: sums of embeddings of features.

An item is the sum of what is learned of its id and of its features (Kula, 2015, "Metadata embeddings for user and
item cold-start recommendations"), so that an item without a history is where its features are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irecgan.data.features import Code
from irecgan.data.sparse import PaddedRows, SparseRows


@dataclass(frozen=True)
class ItemFeatures:
    """The columns of a catalogue."""

    code: Code
    rows: SparseRows  # of items 0 .. n - 1


@dataclass(frozen=True)
class Inputs:
    """What models read besides ids; None where they read none."""

    items: ItemFeatures | None = None
    context: Code | None = None


class FeatureEmbedding(nn.Module):
    """Embeds rows of features of a `Code`, each as the weighted sum of E-dimensional embeddings."""

    averages: Tensor

    def __init__(self, code: Code, embedding: int) -> None:
        super().__init__()
        self.code = code
        self.weight = nn.Parameter(torch.empty(code.features, embedding))
        self.register_buffer("averages", code.averages, persistent=False)

    def forward(self, rows: PaddedRows) -> Tensor:
        """The vectors of ``rows``. (..., W) -> (..., E)"""
        shape = rows.feature.shape
        flat = self._sum(rows.feature.reshape(-1, shape[-1]), rows.weight.reshape(-1, shape[-1]))
        return flat.reshape(*shape[:-1], -1)

    def ragged(self, rows: SparseRows) -> Tensor:
        """The vectors of ``rows`` (R,). (R, E)"""
        return self._sum(rows.feature, rows.weight, rows.start[:-1])

    def unknown(self) -> Tensor:
        """The vector of a row of which nothing is known: the log's average. (E,)"""
        return (self.averages @ self.weight).sum(0)

    def _sum(self, feature: Tensor, weight: Tensor, start: Tensor | None = None) -> Tensor:
        table = torch.cat([self.weight, self.averages @ self.weight])  # (F + C, E)
        return nn.functional.embedding_bag(feature, table, start, mode="sum", per_sample_weights=weight.to(table))


class ItemContent(nn.Module):
    """What the columns say of the items of a catalogue; the zero vector for the index n.

    Attributes:
        kept: (n + 1,) 1 where the id of an item counts and 0 where it is hidden, while ids are dropped; else None.

    """

    start: Tensor
    feature: Tensor
    share: Tensor

    def __init__(self, items: ItemFeatures, embedding: int) -> None:
        super().__init__()
        self.features = FeatureEmbedding(items.code, embedding)
        rows = items.rows
        start = torch.cat([rows.start, rows.start[-1:]])  # the item n has no features
        for name, values in (("start", start), ("feature", rows.feature), ("share", rows.weight)):
            self.register_buffer(name, values.clone(), persistent=False)
        self.kept: Tensor | None = None

    def forward(self, items: Tensor) -> Tensor:
        """The vectors of ``items``, any shape; every item is embedded once. (...) -> (..., E)"""
        different, place = items.unique(return_inverse=True)
        return self.of(different)[place]

    def of(self, items: Tensor) -> Tensor:
        """The vectors of ``items`` (R,). (R, E)"""
        rows = SparseRows(self.start, self.feature, self.share)
        return self.features.ragged(rows.select(items))

    def all(self) -> Tensor:
        """The vectors of all items and, last, of the index n. (n + 1, E)"""
        return self.features.ragged(SparseRows(self.start, self.feature, self.share))

    def ids(self, rows: Tensor, items: Tensor | slice) -> Tensor:
        """What is learned of the ids of ``items``, ``rows`` (..., E) or (...), without those that are hidden now."""
        if self.kept is None:
            return rows
        kept = self.kept[items].to(rows)
        return rows * (kept[..., None] if rows.ndim > kept.ndim else kept)


def hide_ids(network: nn.Module, kept: Tensor | None) -> None:
    """Have the items count by their columns alone where ``kept`` (n + 1,) is 0; None: all ids count again."""
    for part in network.modules():
        if isinstance(part, ItemContent):
            part.kept = kept
