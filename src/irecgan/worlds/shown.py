"""A world as it is known to someone who knows exactly what a log shows of it, and nothing else."""

import torch
from torch import Tensor

from irecgan.worlds.mdp import MDPWorld


def as_shown(world: MDPWorld, shown: Tensor) -> MDPWorld:
    """The world in which all items not ``shown`` (m, n) bool in a state are like their mean there.

    Their rewards are the mean of theirs, their moves that of the items shown.
    """
    hidden = (~shown).double()
    unseen = (world.reward * hidden).sum(1, keepdim=True) / hidden.sum(1, keepdim=True).clamp(min=1)  # (m, 1)
    count = shown.sum(1).clamp(min=1)[:, None, None]
    moves = (world.transition * shown[..., None]).sum(1, keepdim=True) / count  # (m, 1, m)
    spec = world.spec.model_copy(
        update={
            "reward": torch.where(shown, world.reward, unseen).tolist(),
            "transition": torch.where(shown[..., None], world.transition, moves).tolist(),
        }
    )
    return MDPWorld(spec)
