"""What a log says of the weights of terms, and how surely."""

from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.data.batch import Sessions, SessionSource
from irecgan.data.order import in_order
from irecgan.data.statistics import ItemCounts
from irecgan.models.lists import ListUserModel
from irecgan.models.user import RecurrentUserModel
from irecgan.models.views import Statistics
from irecgan.policies.co_click import co_clicks

SESSIONS = 50_000
"""Sessions at most from which the covariance of the weights is computed."""
_BATCH = 64
_PRIOR = 0.01
"""Precision of a weight of which the log says nothing: a standard deviation of 10."""


UserWithTerms = RecurrentUserModel | ListUserModel


def log_statistics(sessions: Sessions) -> Statistics:
    """What terms read of the log that is learned from."""
    return Statistics(ItemCounts.of(sessions).with_unknown(), co_clicks(sessions))


@torch.no_grad()
def set_covariance(user: UserWithTerms, sessions: Sessions) -> None:
    """Set the covariance of the weights of ``user``'s terms from the ``sessions`` that it learned from."""
    if user.terms is not None:
        user.terms.covariance.copy_(weight_covariance(user, sessions))


@torch.no_grad()
def weight_covariance(user: UserWithTerms, sessions: Sessions) -> Tensor:
    """The covariance of the weights of terms, with the rest of the model as it is. (F, F) float64

    The sandwich H^-1 G H^-1 of the conditional logit (White, 1982; clustered as in Liang and Zeger, 1986): H is the
    observed information of the clicks, G the sum over sessions of the outer product of a session's score, as the
    steps of a session are not independent. To it comes d d^T, where d = H^-1 (sum of the scores) is how far a step of
    Newton's would still move the weights: they are not quite at the maximum. A weak prior keeps both regular: a
    weight that no list tells of has a standard deviation of 10.
    """
    found = _information(user, sessions)
    prior = _PRIOR * torch.eye(len(found.hessian), dtype=torch.float64, device=found.hessian.device)
    inverse = torch.linalg.inv(found.hessian + prior)
    left = inverse @ (found.score - prior @ found.weight)  # (F,)
    covariance: Tensor = inverse @ (found.spread + prior) @ inverse + left.outer(left)
    return covariance


@torch.no_grad()
def newton_step(user: UserWithTerms, sessions: Sessions, precision: float) -> None:
    """Move the weights of terms to the maximum of a quadratic through their likelihood, the rest of the model as it is.

    ``precision``: of a normal prior around 0, which the likelihood is multiplied with.
    """
    assert user.terms is not None
    found = _information(user, sessions)
    prior = precision * torch.eye(len(found.hessian), dtype=torch.float64, device=found.hessian.device)
    step = torch.linalg.solve(found.hessian + prior, found.score - prior @ found.weight)
    user.terms.weight.add_(step.to(user.terms.weight))


@dataclass(frozen=True)
class _Information:
    """Of the clicks in a log on F weights, in double precision."""

    weight: Tensor  # (F,)
    hessian: Tensor  # (F, F) minus that of the log-likelihood
    score: Tensor  # (F,) its gradient
    spread: Tensor  # (F, F) the sum over sessions of the outer products of their gradients


def _information(user: UserWithTerms, sessions: Sessions) -> _Information:
    """That of ``sessions``; of more than SESSIONS the first ones count for all."""
    assert user.terms is not None
    weight = user.terms.weight.detach().double()
    counted = sessions.select(torch.arange(min(SESSIONS, len(sessions))))
    hessian, scores = torch.zeros(len(weight), len(weight), dtype=torch.float64, device=weight.device), []
    for rows in in_order(counted.steps, _BATCH):
        part, score = _batch_information(user, counted, rows)
        hessian += part
        scores.append(score)
    share, score = len(sessions) / len(counted), torch.cat(scores)
    return _Information(weight, share * hessian, share * score.sum(0), share * score.T @ score)


def _batch_information(user: UserWithTerms, sessions: SessionSource, rows: Tensor) -> tuple[Tensor, Tensor]:
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
    step = design[torch.arange(len(at), device=at.device), at] - mean  # (C, F)
    owner = torch.arange(len(batch), device=real.device)[:, None].expand(real.shape)[real][clicked]
    return spread, step.new_zeros(len(batch), step.shape[1]).index_add(0, owner, step)
