"""How well held-out clicks are foretold within lists: by fitted users, and by what is seen of a list.

Users with a hidden state know items, and no order. Where something else retrieved the lists, for a query, say, clicks
follow what is seen of them: the order, and what the user has met before. Such users are then no judges of a policy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.models.latent import SMALLEST, LatentTables
from irecgan.policies.interface import Scorer
from irecgan.training.choice.scored import of_clicks, scored_lists
from irecgan.training.latent.expectation import answer_chances, forward, kind_log_chances, slate_log_chances
from irecgan.training.latent.trajectories import Trajectories
from irecgan.training.ratios import ratio

_CLEAR = 0.05
"""Nats per click by which lists have to foretell better: .01 at most in worlds of states, .7 in a shop of queries."""
_ERRORS = 2.0


@dataclass(frozen=True)
class Foretold:
    """The log chances of clicks, given that something of the list was clicked, summed by session. Each (S,)"""

    by_users: Tensor
    by_lists: Tensor
    clicks: Tensor

    def and_of(self, other: "Foretold") -> "Foretold":
        """Of the sessions of both."""
        pairs = ((getattr(part, name) for part in (self, other)) for name in ("by_users", "by_lists", "clicks"))
        return Foretold(*(torch.cat(list(pair)) for pair in pairs))

    @property
    def figures(self) -> dict[str, float]:
        """In nats per click."""
        total = max(float(self.clicks.sum()), 1.0)
        return {
            "clicks/by_users": float(self.by_users.sum()) / total,
            "clicks/by_lists": float(self.by_lists.sum()) / total,
        }

    @property
    def lists_tell_more(self) -> bool:
        """Whether what is seen of a list foretells clicks clearly better."""
        mean, error = ratio(self.by_lists - self.by_users, self.clicks)
        return mean > _CLEAR + _ERRORS * error


def foretold(users: LatentTables, lists: Scorer, sessions: Sessions) -> Foretold:
    """What both say of ``sessions``; clicks on items that are not known do not count.

    ``lists``: scores that are log-odds.
    """
    by_users, clicks = _by_users(users, sessions)
    return Foretold(by_users, _by_lists(lists, sessions), clicks)


def _by_users(tables: LatentTables, sessions: Sessions) -> tuple[Tensor, Tensor]:
    """The sums of log chances, and the clicks that they are of. Both (S,)"""
    steps = Trajectories.of(sessions)
    slate, answer = slate_log_chances(tables, kind_log_chances(tables, steps)), answer_chances(tables, steps)
    before = forward(tables, steps, slate + answer.log()).before
    belief = before * (slate - slate.max(1, keepdim=True).values).exp()  # once the slate is seen, (N, Z)
    weight = tables.weight
    any_click = steps.total((weight * tables.survival).T) / steps.total(weight.T).clamp(min=SMALLEST)
    chance = (belief * answer).sum(1) / (belief * any_click).sum(1).clamp(min=SMALLEST)
    known = steps.logged & steps.clicked & (steps.click != steps.items)
    log_chance = torch.where(known, chance.clamp(min=SMALLEST).log(), 0.0)
    order = sessions.steps.argsort(descending=True, stable=True)
    sums = torch.stack([steps.by_session(log_chance), steps.by_session(known.double())])
    by_users, clicks = torch.empty_like(sums).index_copy(1, order, sums)
    return by_users, clicks


@torch.no_grad()
def _by_lists(lists: Scorer, sessions: Sessions) -> Tensor:
    found = torch.zeros(len(sessions), dtype=torch.float64)
    for rows, batch, scores in scored_lists(lists, sessions):
        of_click = of_clicks(batch, scores.double().log_softmax(1))  # (M, 1)
        clicked = batch.clicked & (batch.click < sessions.catalogue_size)  # (B, T)
        log_chance = torch.zeros(clicked.shape, dtype=torch.float64).masked_scatter(batch.real, of_click)
        found[rows] = torch.where(clicked, log_chance, 0.0).sum(1)
    return found
