"""The recommending agent A."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch
from irecgan.models.recurrent import ClickEncoder, RecurrentState, Size

Head = Literal["behaviour", "value"]


class Agent(nn.Module):
    """Scores the catalogue from the clicks so far; its policy is the softmax of the scores, Eq. (4).

    ``heads``: what else reads its state while it learns: ``behaviour`` a model of the logging policy's
    clicks, ``value`` the worth of the state. A policy at work needs neither.
    """

    def __init__(self, size: Size, heads: Sequence[Head] = ()) -> None:
        super().__init__()
        self.encoder = ClickEncoder(size)
        self.output = nn.Linear(size.units, size.items)
        widths: dict[Head, int] = {"behaviour": size.items, "value": 1}
        self.heads = nn.ModuleDict({head: nn.Linear(size.units, widths[head]) for head in heads})

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.output.out_features

    def forward(self, batch: SessionBatch) -> Tensor:
        """Logits W s_t + b of Eq. (4) at the M real steps of ``batch``, in row-major order. (M, n)"""
        return self.output(self.states(batch))  # type: ignore[no-any-return]

    def states(self, batch: SessionBatch) -> Tensor:
        """s_t at the M real steps of ``batch``, in row-major order. (M, H)"""
        states: Tensor = self.encoder(batch.click)
        return states[batch.real]

    def start(self, sessions: int) -> RecurrentState:
        """The state s_0 of ``sessions`` sessions."""
        return self.encoder.start(sessions)

    def scores(self, state: RecurrentState) -> Tensor:
        """Logits of Eq. (4) for all items. (B, n)"""
        return self.output(state.top)  # type: ignore[no-any-return]

    def advance(self, state: RecurrentState, click: Tensor) -> RecurrentState:
        """The state after ``click`` (B,)."""
        return self.encoder.advance(state, click)

    def score_slates(self, batch: SessionBatch) -> Tensor:
        """Logits of the items shown at the M real steps. (M, K); meaningless where nothing is shown"""
        logits = self(batch)
        slate = batch.slate[batch.real]
        return torch.gather(logits, 1, slate.clamp(max=self.catalogue_size - 1))
