"""Fixed slates for everybody."""

import torch
from torch import Tensor

from irecgan.policies.begun import Begun
from irecgan.worlds.interface import Scene


class StaticPolicy:
    """Shows one slate at first and one later, whatever is clicked; one slate throughout if only one is given.

    >>> policy = StaticPolicy(torch.tensor([3, 1]), later=torch.tensor([0, 2]))
    >>> policy.propose(policy.start(1), Scene(), torch.Generator())
    tensor([[3, 1]])
    """

    def __init__(self, first: Tensor, *, later: Tensor | None = None) -> None:
        self.slates = torch.stack([first, first if later is None else later])  # (2, K)

    def start(self, sessions: int) -> Begun:
        """Nothing has been shown."""
        return Begun(torch.zeros(sessions, dtype=torch.bool))

    def propose(self, state: Begun, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The first or the later slate. (B, K)"""
        return self.slates[state.begun.long()]

    def advance(self, state: Begun, slate: Tensor, click: Tensor) -> Begun:  # noqa: ARG002
        """From now on the later slate."""
        return Begun(torch.ones_like(state.begun))
