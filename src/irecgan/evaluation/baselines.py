"""The naive orders that stand beside every learned policy: a method that loses to them is no good."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.evaluation.offline import logged_order, random_order
from irecgan.policies.co_click import CoClick, Neighbours, co_clicks
from irecgan.policies.interface import Ranker, Scorer
from irecgan.policies.last_first import LastFirst
from irecgan.policies.popularity import Popularity, return_weighted_counts


@dataclass(frozen=True)
class Baselines:
    """Naive orders, from the statistics of a training log.

    Args:
        popularity: (2, n) from `return_weighted_counts`.
        co_clicks: from `irecgan.policies.co_click.co_clicks`; without them ``co_click`` is left out.

    """

    popularity: Tensor
    co_clicks: Neighbours | None = None

    @classmethod
    def of(cls, sessions: Sessions, gamma: float = 0.9, lambda_r: float = 3.0) -> "Baselines":
        """The baselines of the training ``sessions``; ``gamma`` and ``lambda_r`` weigh clicks as in Eq. (10)."""
        return cls(return_weighted_counts(sessions, gamma, lambda_r), co_clicks(sessions))

    def rankers(self) -> dict[str, Ranker[Any]]:
        """By name, to play in a world: ``popularity``, ``last_first``, ``co_click``."""
        return dict(self._naive())

    def scorers(self, generator: torch.Generator) -> dict[str, Scorer]:
        """By name, to rerank logged lists: those of `rankers`, ``logged_order`` and ``random`` by ``generator``."""
        naive = {name: baseline.score_slates for name, baseline in self._naive().items()}
        return {"logged_order": logged_order, **naive, "random": random_order(generator)}

    def _naive(self) -> dict[str, Popularity | LastFirst | CoClick]:
        popularity = Popularity(self.popularity)
        naive: dict[str, Popularity | LastFirst | CoClick] = {
            "last_first": LastFirst(popularity),
            "popularity": popularity,
        }
        if self.co_clicks is not None:
            naive["co_click"] = CoClick(self.co_clicks, self.popularity)
        return naive
