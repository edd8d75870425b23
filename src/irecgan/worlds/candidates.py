"""Users of whom all that matters is which item of a slate is the click candidate: what planning needs of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.worlds.mdp import MDPWorld


@dataclass(frozen=True)
class CandidateModel:
    """m hidden states and n items, float64, however they are known.

    In state z the candidate of a slate is drawn in proportion to ``weight``; it is clicked with chance
    ``survival``, which earns ``gain`` and moves the state by ``transition``. Otherwise the session ends.
    """

    weight: Tensor  # (m, n)
    survival: Tensor  # (m, n)
    gain: Tensor  # (m, n)
    transition: Tensor  # (m, n, m)
    start: Tensor  # (m,) chance of each state at the first slate

    @property
    def states(self) -> int:
        """The number of states m."""
        return self.weight.shape[0]

    @property
    def items(self) -> int:
        """The number of items n."""
        return self.weight.shape[1]

    @classmethod
    def of_world(cls, world: MDPWorld) -> "CandidateModel":
        """A simulated world, in which weight and survival are both the reward of a state."""
        start = torch.zeros(world.state_count, dtype=torch.float64)
        start[world.start_state] = 1
        return cls(world.reward, world.reward, torch.ones_like(world.reward), world.transition, start)
