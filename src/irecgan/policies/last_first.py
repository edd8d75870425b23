"""The naive baseline that knows that users come back to what they looked at: the item touched last, first."""

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, last_clicked
from irecgan.policies.popularity import Popularity, Remembered


class LastFirst:
    """Ranks the item touched last before all others: these by popularity, or in a log's lists as they are shown.

    A log may say what was touched by other actions than clicks (``last_touched``); a ranker sees clicks alone.
    """

    def __init__(self, popularity: Popularity) -> None:
        self.popularity = popularity

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.popularity.catalogue_size

    def start(self, sessions: int) -> Remembered:
        """Nothing was clicked: the memory (B,) is item n."""
        return Remembered(self.popularity.start(sessions), torch.full((sessions,), self.catalogue_size))

    def scores(self, state: Remembered) -> Tensor:
        """Return-weighted counts, and infinity for the last click. (B, n)"""
        counts = torch.nn.functional.pad(self.popularity.scores(state.begun), (0, 1))  # (B, n + 1)
        return counts.scatter(1, state.memory[:, None], torch.inf)[:, :-1]

    def scores_of(self, state: Remembered, items: Tensor) -> Tensor:
        """The same for ``items`` (B, C); any number for the index n. (B, C)"""
        counts = self.popularity.scores_of(state.begun, items)
        return counts.masked_fill(items == state.memory[:, None], torch.inf)

    def advance(self, state: Remembered, click: Tensor) -> Remembered:
        """``click`` (B,) is the last one."""
        return Remembered(self.popularity.advance(state.begun, click), click)

    def score_slates(self, batch: SessionBatch) -> Tensor:
        """Scores of the items shown at the M real steps, falling in shown order but for the first. (M, K)"""
        rank = torch.arange(batch.slate.shape[2])
        touched = last_clicked(batch) if batch.touched is None else batch.touched
        return torch.where(rank == touched[batch.real][:, None], 1.0, -rank.float())
