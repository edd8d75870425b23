"""The naive baseline that others fall back on: items by how much their clicks were worth in the log."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.order import in_order
from irecgan.objectives.policy import agent_return
from irecgan.policies.begun import Begun


@dataclass(frozen=True)
class Remembered:
    """What a baseline that falls back on popularity remembers of B sessions."""

    begun: Begun  # the state of `Popularity`
    memory: Tensor  # (B, ...)

    def __len__(self) -> int:
        return len(self.begun)

    def take(self, rows: Tensor) -> "Remembered":
        """A copy that holds the sessions ``rows`` (R,)."""
        return Remembered(self.begun.take(rows), self.memory[rows])

    def join(self, others: Sequence["Remembered"]) -> "Remembered":
        """The sessions of this state and then those of ``others``."""
        begun = self.begun.join([other.begun for other in others])
        return Remembered(begun, torch.cat([self.memory, *(other.memory for other in others)]))


class Popularity:
    """Ranks items by return-weighted click count, the first slate of a session apart.

    Args:
        counts: (2, n) scores at t = 0 and later, from `return_weighted_counts`.

    """

    def __init__(self, counts: Tensor) -> None:
        self.counts = counts

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.counts.shape[1]

    def start(self, sessions: int) -> Begun:
        """No session has begun."""
        return Begun(torch.zeros(sessions, dtype=torch.bool, device=self.counts.device))

    def scores(self, state: Begun) -> Tensor:
        """Counts of all items. (B, n)"""
        return self.counts[state.begun.long()]

    def scores_of(self, state: Begun, items: Tensor) -> Tensor:
        """Counts of ``items`` (B, C); any number for the index n. (B, C)"""
        return self.counts[state.begun.long()[:, None], items.clamp(max=self.catalogue_size - 1)]

    def advance(self, state: Begun, click: Tensor) -> Begun:  # noqa: ARG002
        """Every session has begun."""
        return Begun(torch.ones_like(state.begun))

    def score_slates(self, batch: SessionBatch) -> Tensor:
        """Counts of the items shown at the M real steps. (M, K); -inf where nothing is shown, and for unknown items"""
        step = torch.arange(batch.real.shape[1], device=batch.real.device)
        later = (step > 0).expand_as(batch.real)[batch.real].long()  # (M,)
        counts = torch.nn.functional.pad(self.counts, (0, 1), value=-torch.inf)  # (2, n + 1)
        return counts[later[:, None], batch.slate[batch.real]]


def return_weighted_counts(sessions: Sessions, gamma: float, lambda_r: float) -> Tensor:
    """Click counts, each click weighted by its R^a_t of Eq. (10): at t = 0, and later. (2, n) float32"""
    items = sessions.catalogue_size
    counts = torch.zeros(2, items + 1, dtype=torch.float64)
    for rows in in_order(sessions.steps, 1024):
        batch = sessions.batch(rows)
        value = agent_return(batch.score, batch.reward, batch.clicked, gamma, lambda_r)  # (B, T)
        later = (torch.arange(value.shape[1]) > 0).expand_as(value).long()
        clicked = batch.clicked
        counts.index_put_((later[clicked], batch.click[clicked]), value[clicked].double(), accumulate=True)
    return counts[:, :items].float()
