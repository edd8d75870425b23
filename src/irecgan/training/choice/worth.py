"""What a policy is worth before anyone has met it: to fitted users, and to logged ones by importance weights."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.data.order import in_order
from irecgan.models.user import UserModel
from irecgan.objectives.importance import effective_sample_share
from irecgan.objectives.policy import click_worth
from irecgan.policies.interface import Policy
from irecgan.rollout import rollout
from irecgan.worlds.interface import Scene
from irecgan.worlds.learned import LearnedWorld

LEAST_CLICKS = 100
"""That the weighted clicks must be worth, for an estimate by importance weights."""
_CERTAIN = 0.99
_ROWS = 1_024


def predicted_worth(
    policy: Policy[Any],
    users: UserModel[Any],
    sessions: int,
    *,
    max_length: int,
    reward_weight: float,
    generator: torch.Generator,
) -> Tensor:
    """What ``users`` earn the ``policy`` in so many sessions: a click counts 1 + ``reward_weight`` r. (sessions,)"""
    batch = rollout(policy, LearnedWorld(users), sessions, max_length=max_length, generator=generator)
    return click_worth(batch.reward, batch.clicked, reward_weight).sum(1)


@dataclass(frozen=True)
class OffPolicy:
    """What logged users would have earned the policy at the next slate, after their logged histories.

    A click counts for the policy if it would have shown the item, weighted by one over the chance that the log's policy
    showed it (Horvitz and Thompson, 1952). An item's clicks are taken not to depend on the others of its slate.
    """

    per_step: float
    clicks: float  # that the weighted ones are worth


def off_policy_worth(policy: Policy[Any], sessions: Sessions, *, reward_weight: float) -> OffPolicy | None:
    """The estimate; None where the log does not allow one.

    That is where a click has no propensity, where most were shown for certain (then what the log never
    shows at a history is unknown), or where few clicks carry the weight.
    """
    clicked = sessions.position >= 0
    propensity = sessions.propensity[clicked]
    if bool(propensity.isnan().any()) or float((propensity > _CERTAIN).float().mean()) > 0.5:
        return None
    worth, weights, steps = 0.0, [], 0
    generator = torch.Generator().manual_seed(0)  # policies that rank draw nothing
    for rows in in_order(sessions.steps, _ROWS):
        batch = sessions.batch(rows)
        state = policy.start(len(batch))
        for t in range(batch.real.shape[1]):
            kept = batch.real[:, t].nonzero().squeeze(1)
            slate = policy.propose(state.take(kept), Scene(), generator)  # (R, K)
            click = batch.click[kept, t]
            shown = (slate == click[:, None]).any(1) & batch.clicked[kept, t]
            weight = torch.where(shown, 1 / batch.propensity[kept, t].nan_to_num(1.0), 0.0)
            value = click_worth(batch.reward[kept, t], batch.clicked[kept, t], reward_weight)
            worth += float((weight * value).sum())
            weights.append(weight[shown])
            steps += len(kept)
            state = policy.advance(state, batch.slate[:, t], batch.click[:, t])
    weight = torch.cat(weights)
    clicks = float(effective_sample_share(weight) * len(weight)) if len(weight) else 0.0
    return OffPolicy(worth / steps, clicks) if clicks >= LEAST_CLICKS else None
