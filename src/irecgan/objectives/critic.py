"""A learned value as baseline of the policy gradient (Sutton and Barto, 2018, chapter 13)."""

import torch
from torch import Tensor


def temporal_difference(value: Tensor, reward: Tensor, clicked: Tensor, gamma: float) -> Tensor:
    """r_t + gamma V(s_t+1) - V(s_t) at clicks, 0 elsewhere; a state without a step after it is worth 0. (B, T)

    Args:
        value: (B, T) V(s_t).
        reward: (B, T) what step t earns.
        clicked: (B, T) bool.
        gamma: discount, in [0, 1].

    """
    later = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=1)
    return torch.where(clicked, reward + gamma * later - value, 0.0)


def value_loss(value: Tensor, target: Tensor, weight: Tensor, sessions: int) -> Tensor:
    """Half the squared error of ``value`` (M,) against ``target`` (M,), weighed and per session. ()"""
    return 0.5 * (weight * (value - target.detach()) ** 2).sum() / sessions
