"""The lists of a log with a click, as rows of features: one row an item shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.data.order import in_order
from irecgan.data.ragged import offsets
from irecgan.models.batch_view import BatchView
from irecgan.models.terms import Feature, numbers
from irecgan.models.views import Statistics

_SESSIONS = 256  # looked at together


@dataclass(frozen=True)
class ClickedLists:
    """L lists in which an item was clicked, R items in all, those of a list one after the other."""

    values: Tensor  # (R, J) float32, see `irecgan.models.terms.numbers`
    start: Tensor  # (L + 1,) int64, the rows of list i are start[i] .. start[i + 1]
    clicked: Tensor  # (L,) int64, the row of the item that was clicked
    sessions: int  # that the lists were taken from

    def __len__(self) -> int:
        return len(self.clicked)

    @property
    def owner(self) -> Tensor:
        """The list of each row. (R,)"""
        return torch.arange(len(self)).repeat_interleave(self.start.diff())

    @classmethod
    def of(
        cls, sessions: Sessions, features: Sequence[Feature], statistics: Statistics, *, own: bool
    ) -> "ClickedLists":
        """Those of ``sessions``.

        ``own``: whether ``statistics`` counted these sessions: each is then left out of them for its own lists.
        """
        values, sizes, positions = [], [], []
        for rows in in_order(sessions.steps, _SESSIONS):
            batch = sessions.batch(rows)
            real = batch.real
            clicked = batch.clicked[real]  # (M,)
            shown = batch.shown[real][clicked]  # (C, K)
            values.append(numbers(features, BatchView(batch, statistics, own=own))[clicked][shown])
            sizes.append(shown.sum(1))
            positions.append(batch.position[real][clicked])
        start = offsets(torch.cat(sizes))
        return cls(torch.cat(values), start, start[:-1] + torch.cat(positions), len(sessions))


def within_lists(scores: Tensor, lists: ClickedLists) -> tuple[Tensor, Tensor]:
    """The chance of each row in its list, and the log chance of each click: a softmax over every list. (R,) and (L,)"""
    owner = lists.owner
    most = scores.new_full((len(lists),), -torch.inf).scatter_reduce(0, owner, scores, "amax")
    weight = (scores - most[owner]).exp()
    total = scores.new_zeros(len(lists)).index_add(0, owner, weight)
    chosen = scores[lists.clicked] - most - total.log()
    return weight / total[owner], chosen
