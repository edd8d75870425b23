"""Sessions laid out step by step, as the forward-backward algorithm reads them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irecgan.data.batch import NOTHING, Sessions
from irecgan.data.ragged import offsets, ranges


@dataclass(frozen=True)
class Trajectories:
    """S sessions, longest first, N steps: first the first steps of all sessions, then all second steps, ...

    Rows of a step are then the first rows of the step before it, and no batch holds padding.
    """

    alive: list[int]  # sessions that have a step t, for every t
    item: Tensor  # (M,) int64, the items shown at all steps
    item_start: Tensor  # (N + 1,) int64, where each step's begin
    click: Tensor  # (N,) int64; n where nothing, or an unknown item, was clicked
    clicked: Tensor  # (N,) bool
    logged: Tensor  # (N,) bool, whether the step's slate is in the log
    reward: Tensor  # (N,) float64
    items: int  # n

    def __len__(self) -> int:
        return len(self.click)

    @property
    def first(self) -> list[int]:
        """Where the steps t begin."""
        return [0, *torch.tensor(self.alive).cumsum(0).tolist()]

    @property
    def longest_slate(self) -> int:
        """The most items shown at a step."""
        return int(self.item_start.diff().max())

    @classmethod
    def of(cls, sessions: Sessions) -> "Trajectories":
        """The steps of ``sessions``."""
        order = sessions.steps.argsort(descending=True, stable=True)
        lengths = sessions.steps[order]
        longest = int(lengths[0]) if len(lengths) else 0
        alive = [int((lengths > t).sum()) for t in range(longest)]
        begin = sessions.step_start[order]
        step = torch.cat([begin[:count] + t for t, count in enumerate(alive)])
        sizes = sessions.slate_sizes[step]
        clicked = sessions.position[step] != NOTHING
        return cls(
            alive=alive,
            item=sessions.item[ranges(sessions.item_start[step], sizes)].long(),
            item_start=offsets(sizes),
            click=sessions.click[step].long(),
            clicked=clicked,
            logged=sizes > 0,
            reward=sessions.reward[step].double(),
            items=sessions.catalogue_size,
        )

    def by_session(self, values: Tensor) -> Tensor:
        """The sums of ``values`` (N,) over the steps of each session. (S,)"""
        session = torch.cat([torch.arange(count) for count in self.alive])
        return values.new_zeros(self.alive[0]).index_add(0, session, values)

    def total(self, table: Tensor) -> Tensor:
        """The sum of the rows of ``table`` (n + 1, Z) over the items shown at each step. (N, Z)"""
        return nn.functional.embedding_bag(self.item, table, self.item_start[:-1], mode="sum")

    def by_item(self, values: Tensor) -> Tensor:
        """The sum of the rows of ``values`` (N, Z) over the steps that show each item. (n + 1, Z)"""
        order, start = self._showings()
        return nn.functional.embedding_bag(order, values, start, mode="sum")

    def _showings(self) -> tuple[Tensor, Tensor]:
        """The steps that show item 0, 1, ..., and where each item's begin."""
        cached: tuple[Tensor, Tensor] | None = self.__dict__.get("_by_item")
        if cached is None:
            owner = torch.arange(len(self)).repeat_interleave(self.item_start.diff())
            order = self.item.argsort(stable=True)
            counts = torch.bincount(self.item, minlength=self.items + 1)
            cached = (owner[order], offsets(counts)[:-1])
            self.__dict__["_by_item"] = cached
        return cached
