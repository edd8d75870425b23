"""What a training knows of its log."""

import hashlib
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.errors import UserError
from irecgan.models.rewards import RewardLaw


@dataclass(frozen=True)
class TrainingData:
    """Encoded sessions to learn from and to stop by, over one catalogue."""

    train: Sessions
    validation: Sessions
    final_slates: bool  # whether every session shows the slate at which its user left

    @property
    def items(self) -> int:
        """The number of items n."""
        return self.train.catalogue_size

    @property
    def reward_law(self) -> RewardLaw:
        """The law of the rewards on logged clicks."""
        return RewardLaw.of(self.train.reward[self.train.position >= 0])

    @property
    def slate_size(self) -> int:
        """The median number of items shown where a slate is known."""
        sizes = self.train.slate_sizes
        return int(sizes[sizes > 0].median())

    @property
    def longest(self) -> int:
        """The most steps of a session, its end included."""
        return int(self.train.steps.max())

    @property
    def all(self) -> Sessions:
        """Those to learn from and those held out."""
        return Sessions.concat([self.train, self.validation])

    def some(self, sessions: int) -> Sessions:
        """At most ``sessions`` logged ones: those held out, and the first of the others."""
        first = self.train.select(torch.arange(min(sessions, len(self.train))))
        return Sessions.concat([self.validation, first])

    def fingerprint(self) -> str:
        """A digest of every number that is learned from, to tell whether two trainings see the same log."""
        digest = hashlib.sha256()
        for sessions in (self.train, self.validation):
            for field in fields(sessions):
                if field.type is Tensor:  # what is optional is for baselines: nothing learns from it
                    digest.update(getattr(sessions, field.name).numpy().tobytes())
        return digest.hexdigest()


def hold_out(
    sessions: Sessions, share: float, generator: torch.Generator, name: str = "log"
) -> tuple[Sessions, Sessions]:
    """Split off a random ``share`` of the sessions: the rest, and those held out.

    Raises UserError, with the log's ``name``, when there are fewer than 2 sessions.
    """
    if len(sessions) < 2:
        raise UserError(f"{name}: found {len(sessions)} session; expected at least 2, to hold one out")
    order = torch.randperm(len(sessions), generator=generator)
    held = min(max(1, round(share * len(sessions))), len(sessions) - 1)
    return sessions.select(order[held:].sort().values), sessions.select(order[:held].sort().values)
