"""The law of rewards that U predicts and samples by."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

RewardKind = Literal["binary", "real"]


@dataclass(frozen=True)
class RewardLaw:
    """How rewards are distributed: f_r of Eq. (2).

    ``binary``: 0 or 1, f_r = sigmoid. ``real``: normal around ``shift + scale * score`` with standard
    deviation ``scale``, f_r = identity in units of ``scale``.
    """

    kind: RewardKind = "binary"
    shift: float = 0.0
    scale: float = 1.0

    def mean(self, score: Tensor) -> Tensor:
        """The mean reward for a score of Eq. (2), any shape."""
        return torch.sigmoid(score) if self.kind == "binary" else self.shift + self.scale * score

    def sample(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Rewards drawn around ``mean``, any shape."""
        if self.kind == "binary":
            return torch.bernoulli(mean, generator=generator)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + self.scale * noise

    def log_probability(self, score: Tensor, reward: Tensor) -> Tensor:
        """Log p(r | s, c) of Eq. (3) for rewards and scores of one shape.

        Under ``real`` the normalising constant is left out: it moves no gradient.
        """
        if self.kind == "binary":
            return -nn.functional.binary_cross_entropy_with_logits(score, reward, reduction="none")
        return -0.5 * (self.standardise(reward) - score) ** 2

    def standardise(self, reward: Tensor) -> Tensor:
        """Rewards on the scale of scores, any shape."""
        return reward if self.kind == "binary" else (reward - self.shift) / self.scale

    @classmethod
    def of(cls, reward: Tensor) -> "RewardLaw":
        """The law for the rewards (M,) of logged clicks: binary when all are 0 or 1."""
        if bool(((reward == 0) | (reward == 1)).all()):
            return cls()
        scale = float(reward.std(correction=0))
        return cls("real", float(reward.mean()), scale if scale > 0 else 1.0)
