"""A ranking by what is seen of a list."""

from torch import Tensor

from irecgan.models.lists import ListUserModel
from irecgan.models.memory import Memory


class ListRanker:
    """Ranks by the scores of a user model without a network.

    The order is made here, so none of a log's is read, unless candidates are ``ranked``: in the order of the ranker
    that made the log. A ranker hears of clicks alone, so items were shown before if they were clicked.
    """

    def __init__(self, user: ListUserModel, *, ranked: bool = False) -> None:
        self.user = user
        self.ranked = ranked

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.user.catalogue_size

    def start(self, sessions: int) -> Memory:
        """The state before the first slate."""
        return self.user.start(sessions)

    def scores(self, state: Memory) -> Tensor:
        """Scores of all items. (B, n)"""
        return self.user.scores(state)

    def scores_of(self, state: Memory, items: Tensor) -> Tensor:
        """Scores of ``items`` (B, C) alone. (B, C)"""
        return self.user.scores_of(state, items, ranked=self.ranked)

    def advance(self, state: Memory, click: Tensor) -> Memory:
        """The state after ``click`` (B,)."""
        return self.user.advance(state, click[:, None], click)
