"""The user model U, and the interface behind which other user models can take its place."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch
from irecgan.data.sparse import PaddedRows
from irecgan.models.content import Inputs
from irecgan.models.outputs import ContentScores, ItemScores, take_rows
from irecgan.models.recurrent import ClickEncoder, RecurrentState, Size
from irecgan.models.rewards import RewardLaw
from irecgan.rows import State

Stop = Literal["history", "slate"]


@dataclass(frozen=True)
class Outcome:
    """What B users may do with the slates they are shown."""

    click: Tensor  # (B, K) log-probability of a click on each item; sums to 1 - p(stop) over a slate
    stop: Tensor  # (B,) log-probability of c_end
    reward: Tensor  # (B, K) mean reward on each item, if clicked


class UserModel(Protocol[State]):
    """The behaviour of users: all that a roll-out, a planner or a ranking needs of it."""

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        ...

    def start(self, sessions: int) -> State:
        """The state before the first slate of ``sessions`` sessions."""
        ...

    def outcome(self, state: State, slate: Tensor) -> Outcome:
        """What may happen to ``slate`` (B, K), item indices without padding."""
        ...

    def sample_reward(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Rewards drawn around their ``mean`` (B,), by the model's law of rewards."""
        ...

    def advance(self, state: State, slate: Tensor, click: Tensor) -> State:
        """The state after ``click`` (B,) in ``slate`` (B, K)."""
        ...


@dataclass(frozen=True)
class UserPrediction:
    """What U says of the M real steps of a batch, in row-major order."""

    scores: Tensor  # (M, K) V^c of Eq. (1) for the items shown
    outcome: Tensor  # (M, K + 1) log-probabilities of Eq. (1): a click on each item and, last, c_end
    reward: Tensor  # (M,) score of Eq. (2) for the clicked item, before f_r


class RecurrentUserModel(nn.Module):
    """U of the paper: Eq. (1) for clicks, Eq. (2) for rewards, and the end of a session.

    ``stop`` says how c_end enters the softmax of Eq. (1). With ``"history"`` its score is measured
    against the whole slate, so that p(c_end) = sigmoid(w s_t + b) depends on the clicks alone: a list
    of 100 ends a session no less often than a list of 10, and a session whose last list was not logged
    still teaches when sessions end. With ``"slate"`` c_end competes as one more item of the slate.
    """

    def __init__(
        self,
        size: Size,
        stop: Stop = "history",
        reward_law: RewardLaw | None = None,
        inputs: Inputs | None = None,
    ) -> None:
        super().__init__()
        self.encoder = ClickEncoder(size, inputs)
        self.click = nn.Linear(size.units, size.embedding)
        self.reward = nn.Linear(size.units, size.embedding)
        self.stop = nn.Linear(size.units, 1)
        self.stop_kind = stop
        self.reward_law = reward_law or RewardLaw()
        self.catalogue_size = size.items

    def forward(self, batch: SessionBatch) -> UserPrediction:
        """Scores at the M real steps of ``batch``."""
        states = self.encoder(batch.click, batch.context, batch.steps)[batch.real]  # (M, H)
        clicked = self._embedded(batch.click[batch.real])  # (M, E)
        scores = _dot(self.click(states), self._embedded(batch.slate[batch.real]))
        stop = self.stop(states).squeeze(-1)
        return UserPrediction(
            scores=scores,
            outcome=outcome_log_probabilities(scores, stop, batch.shown[batch.real], self.stop_kind),
            reward=(self.reward(states) * clicked).sum(-1),
        )

    def start(self, sessions: int, context: PaddedRows | None = None) -> RecurrentState:
        """The state s_0 of ``sessions`` sessions, whose first step has ``context`` (B, W)."""
        return self.encoder.start(sessions, context)

    def outcome(self, state: RecurrentState, slate: Tensor) -> Outcome:
        """What may happen to ``slate`` (B, K)."""
        embedded = self.encoder.embedded(slate)  # (B, K, E)
        scores = _dot(self.click(state.top), embedded)
        log_p = outcome_log_probabilities(
            scores, self.stop(state.top).squeeze(-1), torch.ones_like(slate, dtype=torch.bool), self.stop_kind
        )
        reward = self.reward_law.mean(_dot(self.reward(state.top), embedded))
        return Outcome(click=log_p[:, :-1], stop=log_p[:, -1], reward=reward)

    def sample_reward(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Rewards drawn around their ``mean`` (B,)."""
        return self.reward_law.sample(mean, generator)

    def advance(
        self,
        state: RecurrentState,
        slate: Tensor,  # noqa: ARG002
        click: Tensor,
        context: PaddedRows | None = None,
    ) -> RecurrentState:
        """The state after ``click`` (B,): items not clicked leave no trace (assumption 2 of the paper).

        The step that follows has ``context`` (B, W).
        """
        return self.encoder.advance(state, click, context)

    def scores(self, state: RecurrentState) -> Tensor:
        """Click scores V^c of all items, by which U ranks the catalogue. (B, n)"""
        return self._item_scores(state.top).all()

    def scores_of(self, state: RecurrentState, items: Tensor) -> Tensor:
        """Click scores V^c of ``items`` (B, C) alone; meaningless for the index n. (B, C)"""
        return self._item_scores(state.top).at(items)

    def score_slates(self, batch: SessionBatch) -> Tensor:
        """Click scores of the items shown at the M real steps. (M, K); 0 where nothing is shown"""
        states = self.encoder(batch.click, batch.context, batch.steps)[batch.real]  # (M, H)
        return _dot(self.click(states), self._embedded(batch.slate[batch.real]))

    def _item_scores(self, states: Tensor) -> ItemScores:
        query, content = self.click(states), self.encoder.content
        scores = None if content is None else ContentScores(query, content, self.catalogue_size)
        return ItemScores(query, self.encoder.embedding.weight, None, self.catalogue_size, content=scores)

    def _embedded(self, items: Tensor) -> Tensor:
        """Embeddings of ``items``, any shape. (..., E)"""
        ids = take_rows(self.encoder.embedding.weight, items, by_rows=self.encoder.embedding.sparse)
        return self.encoder.with_content(ids, items)


def outcome_log_probabilities(scores: Tensor, stop: Tensor, shown: Tensor, kind: Stop) -> Tensor:
    """Log-probabilities of a click on each item and, last, of c_end: the softmax of Eq. (1).

    ``scores`` (M, K), ``stop`` (M,), ``shown`` (M, K) bool -> (M, K + 1), -inf where nothing is shown.
    Where no item at all is shown, c_end has the log-probability log sigmoid(stop) under ``"history"``.
    """
    masked = scores.masked_fill(~shown, -torch.inf)
    if kind == "slate":
        return torch.cat([masked, stop[:, None]], dim=1).log_softmax(1)
    within = torch.cat([masked, torch.full_like(stop[:, None], -torch.inf)], dim=1)
    # A column that is never chosen keeps the softmax of an empty slate finite.
    within = torch.where(shown.any(1, keepdim=True), within, torch.zeros_like(within)).log_softmax(1)
    go_on = nn.functional.logsigmoid(-stop)[:, None] + within[:, :-1]
    click = go_on.masked_fill(~shown, -torch.inf)
    return torch.cat([click, nn.functional.logsigmoid(stop)[:, None]], dim=1)


def _dot(query: Tensor, embedded: Tensor) -> Tensor:
    """Scores of K embedded items for a query. (M, E), (M, K, E) -> (M, K)"""
    return torch.einsum("me,mke->mk", query, embedded)
