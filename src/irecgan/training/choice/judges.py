"""By what candidates are compared: the worth to fitted users, or the place of held-out clicks in their lists."""

from dataclasses import dataclass
from math import sqrt
from statistics import mean
from typing import Protocol

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.models.latent import LatentUserModel
from irecgan.objectives.policy import click_worth
from irecgan.policies.ranking import conservative_rank
from irecgan.seeding import Streams
from irecgan.training.choice.folds import Fitted
from irecgan.training.choice.foretold import Foretold, foretold
from irecgan.training.choice.scored import scored_lists
from irecgan.training.choice.worth import off_policy_worth, predicted_worth
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.latent.em import evidence
from irecgan.training.latent.structures import shown_share, tells_states_by_lists
from irecgan.training.latent.trajectories import Trajectories

SESSIONS = 2_000
"""That each candidate plays with the users of each half."""
_LEAST_CLICKED = 2

Pair = tuple[Fitted, Fitted]
Folds = tuple[TrainingData, TrainingData]


@dataclass(frozen=True)
class Scores:
    """What a candidate scored per session: fitted to the one half in the other, and the reverse. Each (S,)"""

    halves: tuple[Tensor, Tensor]

    @property
    def mean(self) -> float:
        """Over both halves, which count alike."""
        return mean(float(half.mean()) for half in self.halves)

    @property
    def error(self) -> float:
        """Its standard error: of sessions within halves, and between halves."""
        return _error(self.halves)

    def behind(self, other: "Scores") -> float:
        """How much higher ``other`` scored."""
        return other.mean - self.mean

    def error_behind(self, other: "Scores") -> float:
        """The standard error of `behind`; sessions are paired."""
        first, second = (b - a for a, b in zip(self.halves, other.halves, strict=True))
        return _error((first, second))


def _error(halves: tuple[Tensor, Tensor]) -> float:
    first, second = (float(half.mean()) for half in halves)
    within = sum(float(half.var(correction=1)) / len(half) for half in halves) / 4
    return sqrt(within + (first - second) ** 2 / 4)


class Judge(Protocol):
    """Scores candidates on the half that they were not fitted to."""

    @property
    def measure(self) -> str:
        """What it measures, in words."""
        ...

    @property
    def why(self) -> str | None:
        """Why it judges, where it was not the first to be asked."""
        ...

    @property
    def figures(self) -> dict[str, float]:
        """How far it may be believed."""
        ...

    def scores(self, pair: Pair) -> Scores:
        """Of one candidate, fitted to each half."""
        ...

    def off_policy(self, pair: Pair) -> float | None:
        """What logged users would have earned it by the next slate; None where the log does not allow to say."""
        ...


@dataclass(frozen=True)
class UserJudge:
    """Lets policies play with the users of the other half.

    These have a hidden state, and are the likeliest of several such models by the joint evidence of held-out slates and
    clicks: the evidence that ranks user models by how well they plan.
    """

    users: tuple[LatentUserModel, LatentUserModel]
    folds: Folds
    config: TrainingConfig
    streams: Streams
    measure: str = "worth per session to users of the other half"
    why: None = None

    @classmethod
    def of(cls, pair: Pair, folds: Folds, config: TrainingConfig, streams: Streams) -> "UserJudge":
        """The users that were fitted to each half."""
        first, second = (fitted.users for fitted in pair)
        if first is None or second is None:
            raise TypeError("expected a recipe that fits users with a hidden state")
        return cls((first, second), folds, config, streams)

    @property
    def figures(self) -> dict[str, float]:
        """The joint log chance of the slates and clicks of a session that was not seen, and the number of states."""
        chances = [_joint(users, fold.all) for users, fold in zip(self.users, self.folds[::-1], strict=True)]
        states = [float(users.tables.states) for users in self.users]
        plain = any(tells_states_by_lists(users.tables) for users in self.users)
        return {
            "users/evidence": mean(chances),
            "users/states": mean(states),
            "users/states_by_lists": float(plain),
            "users/shown": mean(shown_share(users.tables) for users in self.users),
        }

    def foretold(self, lists: Pair) -> Foretold:
        """How well these users, and ``lists``, foretell the clicks of the halves that they were not fitted to."""
        first, second = (
            foretold(users.tables, fitted.scorer, fold.all)
            for users, fitted, fold in zip(self.users, lists, self.folds[::-1], strict=True)
        )
        return first.and_of(second)

    def scores(self, pair: Pair) -> Scores:
        """The worth of SESSIONS sessions, all candidates meeting the same draws."""
        first, second = (
            predicted_worth(
                fitted.policy,
                users,
                SESSIONS,
                max_length=self.config.max_length or max(fold.longest for fold in self.folds),
                reward_weight=self.config.lambda_r,
                generator=self.streams.torch("play", i),
            )
            for i, (fitted, users) in enumerate(zip(pair, self.users[::-1], strict=True))
        )
        return Scores((first, second))

    def off_policy(self, pair: Pair) -> float | None:
        """By the propensities of the half not seen."""
        found = [
            off_policy_worth(fitted.policy, fold.all, reward_weight=self.config.lambda_r)
            for fitted, fold in zip(pair, self.folds[::-1], strict=True)
        ]
        return mean(one.per_step for one in found if one) if all(found) else None


@dataclass(frozen=True)
class ListJudge:
    """Ranks the lists of the other half, for catalogues of which a list can hold what was retrieved alone.

    The score of a session is the mean reciprocal rank of its clicks, each weighing 1 + lambda_r r, or nothing where a
    reward below 0 takes all of that. Clicks follow what was shown, so orders like the logged one are favoured.
    """

    folds: Folds
    config: TrainingConfig
    why: str | None = None
    measure: str = "reciprocal rank of clicks in lists of the other half"

    @property
    def figures(self) -> dict[str, float]:
        """None."""
        return {}

    @property
    def too_few(self) -> str | None:
        """What to say where a half has so few sessions with a click that weighs that no error can be told."""
        least = min(_weighty(fold.all, self.config.lambda_r) for fold in self.folds)
        if least >= _LEAST_CLICKED:
            return None
        return (
            f"in half of the log the sessions with a click worth something in a list are {least}; "
            f"a comparison takes {_LEAST_CLICKED}"
        )

    def scores(self, pair: Pair) -> Scores:
        """Over the sessions of the half not seen that have a click that weighs: two at least, see `too_few`."""
        first, second = (
            _reciprocal_ranks(fitted, fold.all, self.config.lambda_r)
            for fitted, fold in zip(pair, self.folds[::-1], strict=True)
        )
        return Scores((first, second))

    def off_policy(self, pair: Pair) -> None:
        """None: lists are not slates of the policy's choice."""


def _joint(users: LatentUserModel, sessions: Sessions) -> float:
    steps = Trajectories.of(sessions)
    return float(sum(part.sum() for part in evidence(users.tables, steps))) / steps.alive[0]


def _weighty(sessions: Sessions, reward_weight: float) -> int:
    """The sessions with a click that weighs."""
    weight = click_worth(sessions.reward, sessions.position >= 0, reward_weight)
    owner = torch.arange(len(sessions)).repeat_interleave(sessions.steps)
    return len(owner[weight > 0].unique())


@torch.no_grad()
def _reciprocal_ranks(fitted: Fitted, sessions: Sessions, reward_weight: float) -> Tensor:
    found = []
    for _, batch, scores in scored_lists(fitted.scorer, sessions):
        rank = conservative_rank(scores, batch.shown[batch.real], batch.position[batch.real].clamp(min=0)).clamp(min=1)
        weight = click_worth(batch.reward, batch.clicked, reward_weight).clamp(min=0)  # (B, T)
        inverse = torch.zeros(batch.real.shape).masked_scatter(batch.real, 1 / rank.float())
        total = weight.sum(1)
        found.append(((weight * inverse).sum(1) / total)[total > 0])
    return torch.cat(found) if found else torch.zeros(0)
