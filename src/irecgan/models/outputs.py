"""Scores of catalogue items at states of the agent: all of them, those that are asked for, or by sums over all."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from irecgan.models.content import ItemContent

Output = Literal["untied", "tied"]

_CELLS = 1 << 22
"""Numbers gathered at once where every state has its own items."""
_DENSE = 16
"""Catalogues of at most so many times the items asked for are scored whole: one product beats the gathering."""


@dataclass(frozen=True)
class ContentScores:
    """What the columns of n items add to their scores at M states: query . vector of the item."""

    query: Tensor  # (M, E)
    content: ItemContent
    items: int  # n

    def all(self) -> Tensor:
        """For all items. (M, n)"""
        return nn.functional.linear(self.query, self.vectors())

    def of(self, items: Tensor) -> Tensor:
        """For ``items`` (C,), the same at all states. (M, C)"""
        return nn.functional.linear(self.query, self.content(items))

    def at(self, items: Tensor) -> Tensor:
        """For ``items`` (M, K), every state's own. (M, K)"""
        different, place = items.unique(return_inverse=True)
        return ItemScores(self.query, self.content.of(different), None, len(different)).at(place)

    def vectors(self) -> Tensor:
        """Those of all items. (n, E)"""
        return self.content.all()[: self.items]


@dataclass(frozen=True)
class ItemScores:
    """The scores query . table + bias of n items at M states, multiplied out only where they are asked for."""

    query: Tensor  # (M, F)
    table: Tensor  # (n or more, F); rows from n on belong to no item
    bias: Tensor | None  # (n,)
    items: int  # n
    by_rows: bool = False  # whether gradients hold only the rows that were read
    content: ContentScores | None = None  # what the columns of the items add

    def all(self) -> Tensor:
        """Scores of all items. (M, n)"""
        scores = nn.functional.linear(self.query, *self._tables())
        return scores if self.content is None else scores + self.content.all()

    def factors(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Query, table and bias that make the scores, the columns' part included. (M, F'), (n or more, F'), (n,)"""
        if self.content is None:
            return self.query, self.table, self.bias
        table, bias = self._tables()
        query = torch.cat([self.query, self.content.query], dim=1)
        return query, torch.cat([table, self.content.vectors()], dim=1), bias

    def of(self, items: Tensor) -> Tensor:
        """Scores of ``items`` (C,), the same at all states. (M, C)"""
        bias = None if self.bias is None else self._rows(self.bias, items)
        scores = nn.functional.linear(self.query, self._rows(self.table, items), bias)
        return scores if self.content is None else scores + self.content.of(items)

    def at(self, items: Tensor) -> Tensor:
        """Scores of ``items`` (M, K), every state's own; meaningless for the index n. (M, K)

        Memory does not grow with the catalogue, and with M by no more than the scores.
        """
        known = items.clamp(max=self.items - 1)
        learns_by_rows = self.by_rows and torch.is_grad_enabled()
        if self.items <= _DENSE * items.shape[1] and not learns_by_rows:
            return self.all().gather(1, known)
        rows = max(1, _CELLS // max(1, items.shape[1] * self.query.shape[1]))
        parts = zip(self.query.split(rows), known.split(rows), strict=True)
        scores = torch.cat([self._gathered(query, part) for query, part in parts])
        return scores if self.content is None else scores + self.content.at(known)

    def where(self, states: Tensor) -> "ItemScores":
        """The same at the ``states`` (M,) bool alone."""
        content = None if self.content is None else replace(self.content, query=self.content.query[states])
        return replace(self, query=self.query[states], content=content)

    def _gathered(self, query: Tensor, items: Tensor) -> Tensor:
        scores = torch.einsum("mf,mkf->mk", query, self._rows(self.table, items))
        return scores if self.bias is None else scores + self._rows(self.bias, items)

    def _rows(self, table: Tensor, items: Tensor) -> Tensor:
        """What ``table`` holds of the ids of ``items``, but of those that are hidden. (*items' shape, ...)"""
        rows = take_rows(table, items, by_rows=self.by_rows)
        return rows if self.content is None else self.content.content.ids(rows, items)

    def _tables(self) -> tuple[Tensor, Tensor | None]:
        """The same of all items, with their bias. (n, F), (n,)"""
        every = slice(self.items)
        table = self.table if len(self.table) == self.items else self.table[every]
        if self.content is None:
            return table, self.bias
        ids = self.content.content.ids
        return ids(table, every), None if self.bias is None else ids(self.bias, every)


class UntiedOutput(nn.Linear):
    """Scores W s + b with a row of H weights for each item: Eq. (4) as it stands."""

    by_rows = False

    def item_scores(self, states: Tensor, embeddings: Tensor) -> ItemScores:  # noqa: ARG002
        """Scores at ``states`` (M, H); the ``embeddings`` are not read."""
        return ItemScores(states, self.weight, self.bias, self.out_features, self.by_rows)


class TiedOutput(nn.Module):
    """Scores W s + b with W = embeddings . projection, of rank E: items are compared where they are embedded.

    Press and Wolf (2017, "Using the output embedding to improve language models"); the projection lets the
    state be wider than the embeddings.
    """

    by_rows = False

    def __init__(self, units: int, embedding: int, items: int) -> None:
        super().__init__()
        self.projection = nn.Linear(units, embedding)
        self.bias = nn.Parameter(torch.empty(items))

    def item_scores(self, states: Tensor, embeddings: Tensor) -> ItemScores:
        """Scores at ``states`` (M, H) with ``embeddings`` (n or more, E)."""
        return ItemScores(self.projection(states), embeddings, self.bias, len(self.bias), self.by_rows)


def learn_by_rows(network: nn.Module) -> list[nn.Parameter]:
    """Have the gradients of a network's item tables hold only the rows that a batch read; gives the tables.

    Scores of all items can then not be learned from: only `ItemScores.of` and `ItemScores.at`.
    """
    tables: list[nn.Parameter] = []
    for part in network.modules():
        if isinstance(part, nn.Embedding):
            part.sparse = True
            tables += part.parameters(recurse=False)
        elif isinstance(part, UntiedOutput | TiedOutput):
            part.by_rows = True
            tables += part.parameters(recurse=False)
    return tables


def take_rows(table: Tensor, index: Tensor, *, by_rows: bool) -> Tensor:
    """``table[index]``; with ``by_rows`` its gradient is sparse. (n, ...), any shape -> (*shape, ...)"""
    if by_rows and torch.is_grad_enabled() and table.requires_grad:
        return _Rows.apply(table, index)  # type: ignore[no-any-return,no-untyped-call]
    return table[index]


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table[index]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        values = grads[0].reshape(-1, *ctx.shape[1:])
        sparse = torch.sparse_coo_tensor(index.reshape(1, -1), values, ctx.shape, check_invariants=False)
        return sparse, None
