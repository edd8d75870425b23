"""User models without a network: which item of a list is clicked is told by its features alone.

What a session ends by and what a click is worth are averages of the log.
"""

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch
from irecgan.models.batch_view import BatchView
from irecgan.models.memory import Memory, StepView
from irecgan.models.rewards import RewardLaw
from irecgan.models.terms import Terms
from irecgan.models.trees import Trees
from irecgan.models.user import Outcome, outcome_log_probabilities
from irecgan.models.views import Statistics


class ListUserModel(nn.Module):
    """Users who choose from a list by the softmax of what ``chooser`` says of its items.

    With `Terms` a conditional logit, with `Trees` its boosted counterpart. Its numbers are set by fits in which all
    lists count at once.

    Attributes:
        stop: () float64, chance that a session ends at a step.
        reward: () float64, mean reward of a click.
        statistics: of the log that is learned from; to be given by `attach`.

    """

    stop: Tensor
    reward: Tensor

    def __init__(self, items: int, chooser: Terms | Trees, reward_law: RewardLaw | None = None) -> None:
        super().__init__()
        self.chooser = chooser
        self.reward_law = reward_law or RewardLaw()
        self.catalogue_size = items
        self._statistics: Statistics | None = None
        self.set_averages(0.5, 0.0)

    def set_averages(self, stop: float, reward: float) -> None:
        """The chance that a session ends at a step, in (0, 1), and the mean reward of a click."""
        self.register_buffer("stop", torch.tensor(stop, dtype=torch.float64))
        self.register_buffer("reward", torch.tensor(reward, dtype=torch.float64))

    @property
    def terms(self) -> Terms | None:
        """The weighted features, where they are what chooses."""
        return self.chooser if isinstance(self.chooser, Terms) else None

    @property
    def statistics(self) -> Statistics:
        """Of the log that is learned from."""
        if self._statistics is None:
            raise RuntimeError("features have no statistics of a log; expected ListUserModel.attach first")
        if self._statistics.device != self.stop.device:
            self._statistics = self._statistics.to(self.stop.device)
        return self._statistics

    def attach(self, statistics: Statistics) -> None:
        """Read what is known of items in ``statistics``."""
        self._statistics = statistics

    def start(self, sessions: int) -> Memory:
        """The state before the first slate: nothing was seen."""
        return Memory.start(sessions, self.catalogue_size, self.stop.device)

    def outcome(self, state: Memory, slate: Tensor, *, ranked: bool = False) -> Outcome:
        """What may happen to ``slate`` (B, K). ``ranked``: it is in the order of the log's ranker."""
        scores = self.scores_of(state, slate, ranked=ranked)
        stop = self.stop.logit().float().expand(len(slate))
        log_p = outcome_log_probabilities(scores, stop, torch.ones_like(slate, dtype=torch.bool), "history")
        return Outcome(log_p[:, :-1], log_p[:, -1], self.reward.float().expand(slate.shape))

    def sample_reward(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Rewards drawn around their ``mean`` (B,)."""
        return self.reward_law.sample(mean, generator)

    def advance(self, state: Memory, slate: Tensor, click: Tensor, reward: Tensor | None = None) -> Memory:
        """The state after ``click`` (B,) with ``reward`` (B,), if that is known, in ``slate`` (B, K)."""
        return state.after(slate, click, reward)

    def scores(self, state: Memory) -> Tensor:
        """Scores of all items, whose order is made here. (B, n)"""
        items = torch.arange(self.catalogue_size, device=self.stop.device).expand(len(state), -1)
        return self.scores_of(state, items)

    def scores_of(self, state: Memory, items: Tensor, *, ranked: bool = False) -> Tensor:
        """Scores of ``items`` (B, C). ``ranked``: they are in the order of the log's ranker. (B, C)"""
        scores: Tensor = self.chooser(StepView(state, items, self.statistics, ranked=ranked))
        return scores

    def score_slates(self, batch: SessionBatch, *, ranked: bool = True) -> Tensor:
        """Scores of the items shown at the M real steps. (M, K); no item has a meaning where nothing is shown"""
        scores: Tensor = self.chooser(self.view(batch, ranked=ranked, own=False))
        return scores

    def view(self, batch: SessionBatch, *, ranked: bool, own: bool) -> BatchView:
        """What features read at the M real steps of ``batch``, see `BatchView`."""
        return BatchView(batch, self.statistics, ranked=ranked, own=own)
