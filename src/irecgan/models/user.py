"""The user model U, and the interface behind which other user models can take its place."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch
from irecgan.data.sparse import PaddedRows
from irecgan.models.batch_view import BatchView
from irecgan.models.content import Inputs
from irecgan.models.memory import Memory, StepView, UserState
from irecgan.models.outputs import ContentScores, ItemScores, take_rows
from irecgan.models.recurrent import ClickEncoder, Size
from irecgan.models.rewards import RewardLaw
from irecgan.models.terms import Terms
from irecgan.rows import State

Stop = Literal["history", "slate"]


@dataclass(frozen=True)
class Outcome:
    """What B users may do with the slates they are shown."""

    click: Tensor  # (B, K) log-probability of a click on each item; sums to 1 - p(stop) over a slate
    stop: Tensor  # (B,) log-probability of c_end
    reward: Tensor  # (B, K) mean reward on each item, if clicked


class UserModel(Protocol[State]):
    """The behaviour of users: all that a roll-out or a planner needs of it."""

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


@dataclass(frozen=True)
class Learning:
    """What differs while U learns."""

    dropout: float  # share of the numbers of s_t that click scores do not see, anew at every call
    generator: torch.Generator  # on the CPU; one number is drawn a call, whatever falls to this process of a batch

    def dropped(self, states: Tensor) -> Tensor:
        """``states`` (M, H) without a share of their numbers, the others larger instead."""
        seed = int(torch.randint(1 << 62, (), generator=self.generator))
        kept = torch.rand(states.shape, generator=torch.Generator().manual_seed(seed)) >= self.dropout
        return states * kept.to(states) / (1 - self.dropout)


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
        self.terms = Terms(size.terms) if size.terms else None
        self.stop_kind = stop
        self.reward_law = reward_law or RewardLaw()
        self.catalogue_size = size.items

    def forward(self, batch: SessionBatch, learning: Learning | None = None) -> UserPrediction:
        """Scores at the M real steps of ``batch``.

        Args:
            batch: logged sessions, or generated ones, whose slates are in no ranker's order.
            learning: while U learns from the log that its statistics count, whose sessions are then left out of them.

        """
        states = self.encoder(batch.click, batch.context, batch.steps)[batch.real]  # (M, H)
        clicked = self._embedded(batch.click[batch.real])  # (M, E)
        scores = self._slate_scores(batch, states, learning, ranked=True)
        stop = self.stop(states).squeeze(-1)
        return UserPrediction(
            scores=scores,
            outcome=outcome_log_probabilities(scores, stop, batch.shown[batch.real], self.stop_kind),
            reward=(self.reward(states) * clicked).sum(-1),
        )

    def start(self, sessions: int, context: PaddedRows | None = None) -> UserState:
        """The state s_0 of ``sessions`` sessions, whose first step has ``context`` (B, W)."""
        memory = None if self.terms is None else Memory.start(sessions, self.catalogue_size, self.terms.weight.device)
        return UserState(self.encoder.start(sessions, context), memory)

    def outcome(self, state: UserState, slate: Tensor, *, ranked: bool = False) -> Outcome:
        """What may happen to ``slate`` (B, K). ``ranked``: it is in the log's ranker's order, and terms read that."""
        embedded = self.encoder.embedded(slate)  # (B, K, E)
        scores = self._with_terms(_dot(state.read(self.click), embedded), state, slate, ranked=ranked)
        stop = state.read(self.stop).squeeze(-1)
        log_p = outcome_log_probabilities(scores, stop, torch.ones_like(slate, dtype=torch.bool), self.stop_kind)
        reward = self.reward_law.mean(_dot(state.read(self.reward), embedded))
        return Outcome(click=log_p[:, :-1], stop=log_p[:, -1], reward=reward)

    def sample_reward(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Rewards drawn around their ``mean`` (B,)."""
        return self.reward_law.sample(mean, generator)

    def advance(
        self,
        state: UserState,
        slate: Tensor,
        click: Tensor,
        context: PaddedRows | None = None,
        *,
        reward: Tensor | None = None,
    ) -> UserState:
        """The state after ``click`` (B,) in ``slate`` (B, K), with ``reward`` (B,) where that is known.

        The step that follows has ``context`` (B, W). Items not clicked leave no trace in s_t (assumption 2 of the
        paper); terms remember that they were shown.
        """
        memory = None if state.memory is None else state.memory.after(slate, click, reward)
        return UserState(self.encoder.advance(state.recurrent, click, context), memory)

    def scores(self, state: UserState) -> Tensor:
        """Click scores V^c of all items, by which U ranks the catalogue. (B, n)"""
        scores = self._item_scores(state.top).all()
        if self.terms is None:
            return scores
        items = torch.arange(self.catalogue_size, device=scores.device).expand(len(state), -1)
        return self._with_terms(scores, state, items, ranked=False)

    def scores_of(self, state: UserState, items: Tensor, *, ranked: bool = False) -> Tensor:
        """Click scores V^c of ``items`` (B, C) alone; without terms meaningless for the index n. (B, C)

        ``ranked``: they are in the order of the log's ranker, and terms read that.
        """
        scores = self._item_scores(state.top).at(items)
        if self.terms is None:
            return scores
        scores = torch.where(items < self.catalogue_size, scores, 0.0)
        return self._with_terms(scores, state, items, ranked=ranked)

    def score_slates(self, batch: SessionBatch, *, ranked: bool = True) -> Tensor:
        """Click scores of the items shown at the M real steps. (M, K); no item has a meaning where nothing is shown

        ``ranked``: whether terms read the order of logged slates.
        """
        states = self.encoder(batch.click, batch.context, batch.steps)[batch.real]  # (M, H)
        return self._slate_scores(batch, states, None, ranked=ranked)

    def view(self, batch: SessionBatch, *, ranked: bool, own: bool) -> BatchView:
        """What terms read at the M real steps of ``batch``, see `BatchView`. Only of a model with terms."""
        assert self.terms is not None
        return BatchView(batch, self.terms.statistics, ranked=ranked, own=own)

    def _slate_scores(self, batch: SessionBatch, states: Tensor, learning: Learning | None, *, ranked: bool) -> Tensor:
        """V^c at ``states`` (M, H) of the items shown. (M, K)"""
        if learning is not None and learning.dropout:
            states = learning.dropped(states)
        scores = self._dot(states, self._embedded(batch.slate[batch.real]))
        if self.terms is None:
            return scores
        added: Tensor = self.terms(self.view(batch, ranked=ranked, own=learning is not None))
        return scores + added

    def _with_terms(self, scores: Tensor, state: UserState, items: Tensor, *, ranked: bool) -> Tensor:
        """``scores`` (B, K) of ``items`` (B, K) with what terms add to them."""
        if self.terms is None or state.memory is None:
            return scores
        added: Tensor = self.terms(StepView(state.memory, items, self.terms.statistics, ranked=ranked))
        return scores + added

    def _dot(self, states: Tensor, embedded: Tensor) -> Tensor:
        """The recurrent scores of items ``embedded`` (M, K, E) at ``states`` (M, H). (M, K)"""
        return _dot(self.click(states), embedded)

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
