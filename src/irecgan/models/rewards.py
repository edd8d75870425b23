"""The law of rewards that U predicts and samples by."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

RewardKind = Literal["binary", "real", "constant"]


@dataclass(frozen=True)
class RewardLaw:
    """How rewards are distributed: f_r of Eq. (2).

    ``binary``: 0 or 1, f_r = sigmoid. ``real``: normal around ``shift + scale * score`` with standard
    deviation ``scale``, f_r = identity in units of ``scale``. ``constant``: always ``shift``, whatever the score is.
    """

    kind: RewardKind = "binary"
    shift: float = 0.0
    scale: float = 1.0

    def mean(self, score: Tensor) -> Tensor:
        """The mean reward for a score of Eq. (2), any shape."""
        match self.kind:
            case "binary":
                return torch.sigmoid(score)
            case "real":
                return self.shift + self.scale * score
            case "constant":
                return torch.full_like(score, self.shift)

    def sample(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Rewards drawn around ``mean``, any shape."""
        match self.kind:
            case "binary":
                return torch.bernoulli(mean, generator=generator)
            case "real":
                noise = torch.randn(mean.shape, generator=generator, device=mean.device)
                return mean + self.scale * noise
            case "constant":
                return mean

    def log_probability(self, score: Tensor, reward: Tensor) -> Tensor:
        """Log p(r | s, c) of Eq. (3) for rewards and scores of one shape.

        Under ``real`` the normalising constant is left out: it moves no gradient. Under ``constant`` there is nothing
        to learn, and 0 for any reward: a held-out one that differs would decide alone when to stop.
        """
        match self.kind:
            case "binary":
                return -nn.functional.binary_cross_entropy_with_logits(score, reward, reduction="none")
            case "real":
                return -0.5 * (self.standardise(reward) - score) ** 2
            case "constant":
                return torch.zeros_like(score)

    def standardise(self, reward: Tensor) -> Tensor:
        """Rewards on the scale of scores, any shape; 0 under ``constant``, where they tell nothing."""
        match self.kind:
            case "binary":
                return reward
            case "real":
                return (reward - self.shift) / self.scale
            case "constant":
                return torch.zeros_like(reward)

    @classmethod
    def of(cls, reward: Tensor) -> "RewardLaw":
        """The law for the rewards (M,) of logged clicks: binary when all are 0 or 1, constant when all are another."""
        if bool(((reward == 0) | (reward == 1)).all()):
            return cls()
        if bool((reward == reward[0]).all()):
            return cls("constant", float(reward[0]))
        scale = float(reward.std(correction=0))
        return cls("real", float(reward.mean()), scale if scale > 0 else 1.0)
