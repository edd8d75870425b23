"""The discriminator D."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch
from irecgan.models.content import Inputs, ItemContent
from irecgan.models.recurrent import Recurrent, RecurrentState, Size
from irecgan.models.rewards import RewardLaw


@dataclass(frozen=True)
class JudgeState:
    """What D remembers of B sessions that are still open."""

    recurrent: RecurrentState

    def __len__(self) -> int:
        return len(self.recurrent)

    def take(self, rows: Tensor) -> "JudgeState":
        """A copy of the sessions ``rows`` (R,)."""
        return JudgeState(self.recurrent.take(rows))

    def join(self, others: Sequence["JudgeState"]) -> "JudgeState":
        """The sessions of this state and then those of ``others``."""
        return JudgeState(self.recurrent.join([other.recurrent for other in others]))


class Discriminator(nn.Module):
    """Scores whole sessions, Eq. (5): the higher its logit, the more a session looks like a *logged* one.

    A recurrent network reads every click with its slate and reward; the verdict reads its last state,
    the slate that the user left (if the log has it) and whether the session ended at all. Slates enter
    as means over the items shown, so neither padding nor its width can be seen. Columns of items are part of
    their embeddings; the context of steps is not read, because generated ones have none.
    """

    def __init__(self, size: Size, reward_law: RewardLaw | None = None, inputs: Inputs | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size.items + 1, size.embedding, padding_idx=size.items)
        self.recurrent = Recurrent(3 * size.embedding + 1, size)
        self.hidden = nn.Linear(size.units + size.embedding + 1, size.embedding)
        self.output = nn.Linear(size.embedding, 1)
        self.reward_law = reward_law or RewardLaw()
        self.catalogue_size = size.items
        self.content = None if inputs is None or inputs.items is None else ItemContent(inputs.items, size.embedding)

    def forward(self, batch: SessionBatch) -> Tensor:
        """Logits of D(tau), Eq. (5). (B,)"""
        mean = self._mean_embedding(batch.slate, batch.shown)  # (B, T, E)
        clicks = batch.clicked.sum(1)  # (B,)
        outputs = self.recurrent(self._inputs(mean, batch.click, batch.reward), clicks)  # (B, T, H)
        row = torch.arange(len(batch), device=clicks.device)
        last = torch.where((clicks > 0)[:, None], outputs[row, (clicks - 1).clamp(min=0)], 0.0)
        ended = batch.ended.any(1)
        left = torch.where(ended[:, None], mean[row, clicks.clamp(max=mean.shape[1] - 1)], 0.0)
        return self._verdict(last, left, ended)

    def start(self, sessions: int) -> JudgeState:
        """The state before the first step of ``sessions`` sessions."""
        return JudgeState(self.recurrent.start(sessions))

    def advance(self, state: JudgeState, slate: Tensor, click: Tensor, reward: Tensor) -> JudgeState:
        """The state after a ``click`` (B,) with ``reward`` (B,) in ``slate`` (B, K)."""
        mean = self._mean_embedding(slate, torch.ones_like(slate, dtype=torch.bool))
        return JudgeState(self.recurrent.step(self._inputs(mean, click, reward), state.recurrent))

    def finish(self, state: JudgeState, slate: Tensor | None) -> Tensor:
        """Logits (B,) of sessions that their users ended, at ``slate`` (B, K) (None: it is not logged)."""
        top = state.recurrent.top
        if slate is None:
            left = top.new_zeros(top.shape[0], self.embedding.embedding_dim)
        else:
            left = self._mean_embedding(slate, torch.ones_like(slate, dtype=torch.bool))
        return self._verdict(top, left, torch.ones(top.shape[0], dtype=torch.bool, device=top.device))

    def cut(self, state: JudgeState) -> Tensor:
        """Logits (B,) of sessions that were cut at the maximum length."""
        top = state.recurrent.top
        left = top.new_zeros(top.shape[0], self.embedding.embedding_dim)
        return self._verdict(top, left, torch.zeros(top.shape[0], dtype=torch.bool, device=top.device))

    def _inputs(self, mean: Tensor, click: Tensor, reward: Tensor) -> Tensor:
        clicked = self.embedding(click) if self.content is None else self.embedding(click) + self.content(click)
        return torch.cat([clicked, mean, clicked * mean, self.reward_law.standardise(reward)[..., None]], dim=-1)

    def _mean_embedding(self, slate: Tensor, shown: Tensor) -> Tensor:
        """Mean embedding of the items shown. (..., K) -> (..., E)"""
        table = self.embedding.weight
        shape = (*slate.shape[:-1], table.shape[1])
        if slate.numel() == 0:
            return table.new_zeros(shape)
        total = nn.functional.embedding_bag(
            slate.flatten(0, -2),
            table,
            mode="sum",
            padding_idx=self.embedding.padding_idx,
            sparse=self.embedding.sparse,
        )
        if self.content is not None:
            total = total + self._total_content(self.content, slate.flatten(0, -2))
        return total.reshape(shape) / shown.sum(-1, keepdim=True).clamp(min=1)

    def _total_content(self, content: ItemContent, slate: Tensor) -> Tensor:
        """The sum of what the columns of the items shown say; every item is embedded once. (S, K) -> (S, E)"""
        different, place = slate.unique(return_inverse=True)
        return nn.functional.embedding_bag(place, content.of(different), mode="sum")

    def _verdict(self, last: Tensor, left: Tensor, ended: Tensor) -> Tensor:
        features = torch.cat([last, left, ended[:, None].to(last)], dim=1)
        return self.output(torch.tanh(self.hidden(features))).squeeze(-1)  # type: ignore[no-any-return]
