"""Objectives of the agent: rewards-to-go and the policy gradients of Eq. (8), (9) and (10)."""

import torch
from torch import Tensor


def click_worth(reward: Tensor, clicked: Tensor, lambda_r: float) -> Tensor:
    """1 + lambda_r r of a click, what it earns in Eq. (10); 0 where nothing was clicked. Any shape."""
    return torch.where(clicked, 1 + lambda_r * reward, 0.0)


def rewards_to_go(reward: Tensor, gamma: float) -> Tensor:
    """sum_{t' >= t} gamma^(t'-t) reward_t'. (B, T) -> (B, T); padding must hold 0.

    >>> rewards_to_go(torch.tensor([[1.0, 0.0, 4.0]]), 0.5)
    tensor([[2., 2., 4.]])
    """
    steps = reward.shape[1]
    # In whole vectors, as the rest of one would be rounded otherwise.
    powers = (gamma ** torch.arange(-(-steps // 64) * 64, device=reward.device).to(reward))[:steps]
    both = torch.cat([torch.zeros_like(powers), powers])  # the discount at t' - t + T, 0 for what is past
    discount = both.unfold(0, steps, 1)[1:].flip(1)  # (t', t)
    return reward @ discount


def generation_return(score: Tensor, clicked: Tensor, gamma: float) -> Tensor:
    """sum_{t' >= t} gamma^(t'-t) q_D(tau_0:t'), the weight of Eq. (8). (B, T) -> (B, T)"""
    return rewards_to_go(torch.where(clicked, score, 0.0), gamma)


def target_return(score: Tensor, reward: Tensor, clicked: Tensor, gamma: float) -> Tensor:
    """R_t = sum_{t' >= t} gamma^(t'-t) q_D(tau_0:t') r_t', the weight of Eq. (9). (B, T) -> (B, T)"""
    return rewards_to_go(torch.where(clicked, score * reward, 0.0), gamma)


def agent_return(score: Tensor, reward: Tensor, clicked: Tensor, gamma: float, lambda_r: float) -> Tensor:
    """R^a_t = sum_{t' >= t} gamma^(t'-t) q_D(tau_0:t') (1 + lambda_r r_t'), the weight of Eq. (10).

    Args:
        score: (B, T) q_D of Eq. (6); 1 on logged sessions.
        reward: (B, T).
        clicked: (B, T) bool. Only steps with a click earn: the end step earns nothing, as in the
            official code (``utils.py`` line 138).
        gamma: discount, in [0, 1].
        lambda_r: weight of the target rewards.

    """
    whole = generation_return(score, clicked, gamma)
    return whole + lambda_r * target_return(score, reward, clicked, gamma)


def policy_gradient_loss(log_probability: Tensor, value: Tensor, sessions: int) -> Tensor:
    """Minus the objective whose gradient is sum_t value_t grad log pi(c_t in a_t | s_t). ()

    With ``value`` from `generation_return`, `target_return` or `agent_return` this is Eq. (8), (9) or (10).

    Args:
        log_probability: (M,) log pi(c_t in a_t | s_t) of Eq. (4).
        value: (M,) weight of each step; no gradient flows through it.
        sessions: the number of sessions the M steps belong to.

    """
    return -(value.detach() * log_probability).sum() / sessions
