"""Objectives of the user model: Eq. (3) and (7)."""

import torch
from torch import Tensor


def step_log_likelihood(outcome: Tensor, position: Tensor, reward_log_probability: Tensor, lambda_p: float) -> Tensor:
    """Log p(c_t | s_t, a_t) + lambda_p log p(r_t | s_t, c_t), the terms of Eq. (3). (M,)

    Args:
        outcome: (M, K + 1) log-probabilities of a click on each item and, last, of c_end.
        position: (M,) rank of the click, below 0 for c_end.
        reward_log_probability: (M,) log p(r_t | s_t, c_t); left out where nothing was clicked.
        lambda_p: weight of the reward term.

    """
    ended = position < 0
    choice = torch.where(ended, outcome.shape[1] - 1, position)
    click = outcome.gather(1, choice[:, None]).squeeze(1)
    return click + lambda_p * torch.where(ended, 0.0, reward_log_probability)


def behaviour_loss(log_likelihood: Tensor, score: Tensor, sessions: int) -> Tensor:
    """Minus the objective of Eq. (7), whose gradient is sum_t q_D(tau_0:t) grad log p(c_t, r_t). ()

    Args:
        log_likelihood: (M,) from `step_log_likelihood`.
        score: (M,) q_D, in [0, 1]; no gradient flows through it. With q_D = 1 this is Eq. (3).
        sessions: the number of sessions the M steps belong to.

    """
    return -(score.detach() * log_likelihood).sum() / sessions
