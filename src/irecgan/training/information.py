"""What a log says of the weights of terms, and how surely."""

import torch
from torch import Tensor

from irecgan.data.batch import Sessions, SessionSource, in_order
from irecgan.data.statistics import ItemCounts
from irecgan.models.user import RecurrentUserModel
from irecgan.models.views import Statistics
from irecgan.policies.co_click import co_clicks

SESSIONS = 50_000
"""Sessions at most from which the covariance of the weights is computed."""
_PRIOR = 0.01
"""Precision of a weight of which the log says nothing: a standard deviation of 10."""


def log_statistics(sessions: Sessions) -> Statistics:
    """What terms read of the log that is learned from."""
    return Statistics(ItemCounts.of(sessions).with_unknown(), co_clicks(sessions))


@torch.no_grad()
def set_covariance(user: RecurrentUserModel, sessions: Sessions) -> None:
    """Set the covariance of the weights of ``user``'s terms from the ``sessions`` that it learned from."""
    if user.terms is not None:
        user.terms.covariance.copy_(weight_covariance(user, sessions))


@torch.no_grad()
def weight_covariance(user: RecurrentUserModel, sessions: Sessions, batch_size: int = 64) -> Tensor:
    """The covariance of the weights of terms, with the rest of the model as it is. (F, F) float64

    The sandwich H^-1 G H^-1 of the conditional logit (White, 1982; clustered as in Liang and Zeger, 1986): H is the
    observed information of the clicks, G the sum over sessions of the outer product of a session's score, as the
    steps of a session are not independent. To it comes d d^T, where d = H^-1 (sum of the scores) is how far a step of
    Newton's would still move the weights: learning was stopped, and its steps are coarse. A weak prior keeps both
    regular: a weight that no list tells of has a standard deviation of 10. Of a larger log, its first SESSIONS count
    for all.
    """
    assert user.terms is not None
    counted = sessions.select(torch.arange(min(SESSIONS, len(sessions))))
    width = len(user.terms.weight)
    information, scores = torch.zeros(width, width, dtype=torch.float64), []
    for rows in in_order(counted.steps, batch_size):
        hessian, score = _batch_information(user, counted, rows)
        information += hessian
        scores.append(score)
    share, score = len(sessions) / len(counted), torch.cat(scores)
    prior = _PRIOR * torch.eye(width, dtype=torch.float64)
    inverse = torch.linalg.inv(share * information + prior)
    left = inverse @ (share * score.sum(0) - prior @ user.terms.weight.to(prior))  # (F,)
    covariance: Tensor = inverse @ (share * score.T @ score + prior) @ inverse + left.outer(left)
    return covariance


def _batch_information(user: RecurrentUserModel, sessions: SessionSource, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The information (F, F) of the clicks in some sessions, and the score of each. (B, F)"""
    assert user.terms is not None
    batch = sessions.batch(rows).to(user.terms.weight.device)
    real, view = batch.real, user.view(batch, ranked=True, own=True)
    recurrent = user.score_slates(batch) - user.terms(user.view(batch, ranked=True, own=False))
    total = (recurrent + user.terms(view)).masked_fill(~batch.shown[real], -torch.inf)
    clicked = batch.clicked[real]  # (M,)
    chance = total[clicked].softmax(1).double()  # (C, K)
    design = user.terms.design(view)[clicked].double()  # (C, K, F)
    mean = torch.einsum("ck,ckf->cf", chance, design)
    spread = torch.einsum("ck,ckf,ckg->fg", chance, design, design) - mean.T @ mean
    at = batch.position[real][clicked]
    step = design[torch.arange(len(at)), at] - mean  # (C, F)
    owner = torch.arange(len(batch))[:, None].expand(real.shape)[real][clicked]
    return spread, torch.zeros(len(batch), step.shape[1], dtype=torch.float64).index_add(0, owner, step)
