"""Exact values of policies in a simulated world, from the chance that each item is the click candidate.

Whatever shows the slates, all that matters in a state z is c[z, j], the chance that item j is the
candidate: it is clicked with r[z, j], earns 1 and moves the state by P[z, j].
"""

import torch
from torch import Tensor

from irecgan.errors import UserError
from irecgan.worlds.mdp import MDPWorld

_NEVER = 1e-9
"""A chance that no candidate is drawn at all below this is rounding."""


def slate_candidates(reward: Tensor, slate: Tensor) -> Tensor:
    """The chance of every item to be the candidate. (..., n), (..., K) -> (..., n)

    >>> slate_candidates(torch.tensor([0.5, 0.25, 1.0]), torch.tensor([0, 1]))
    tensor([0.6667, 0.3333, 0.0000])
    """
    shown = torch.zeros_like(reward).scatter(-1, slate, 1.0) * reward
    return shown / nonzero_divisor(shown.sum(-1, keepdim=True))


def candidate_values(world: MDPWorld, candidate: Tensor) -> Tensor:
    """Expected cumulative reward from every state on. ``candidate`` (..., m, n) -> (..., m) float64

    Solves V = sum_j c_j r_j (1 + P_j V). Raises UserError when sessions may never end.
    """
    rate = candidate * world.reward  # (..., m, n), chance of a click
    values: Tensor = torch.linalg.solve(_stay(world, candidate), rate.sum(-1))
    return values


def candidate_visits(world: MDPWorld, candidate: Tensor) -> Tensor:
    """Expected steps of a session in every state, the one at which the user leaves included. (m, n) -> (m,) float64

    Raises UserError when sessions may never end.
    """
    begin = torch.zeros(world.state_count, dtype=torch.float64)
    begin[world.start_state] = 1
    visits: Tensor = torch.linalg.solve(_stay(world, candidate).T, begin)
    return visits


def _stay(world: MDPWorld, candidate: Tensor) -> Tensor:
    """The unit matrix less the chances of a click that leads from one state to another. (..., m, n) -> (..., m, m)"""
    rate = candidate * world.reward
    onward = torch.einsum("...zj,zjy->...zy", rate, world.transition)  # (..., m, m)
    refusal = (candidate * (1 - world.reward)).sum(-1) > 0
    silence = 1 - candidate.sum(-1) > _NEVER
    _refuse_endless(onward, refusal | silence)
    return torch.eye(world.state_count, dtype=onward.dtype) - onward


def best_slates(reward: Tensor, worth: Tensor, slate: Tensor) -> tuple[Tensor, Tensor]:
    """The slates of exactly K items that maximise sum_j r_j w_j / sum_j r_j, and these ratios.

    ``reward`` r (..., n), ``worth`` w (..., n) of an item once it is the candidate, ``slate`` (..., K)
    to begin with; returns slates (..., K) and ratios (...,). Dinkelbach's method: while some slate has
    sum_j r_j (w_j - ratio) > 0 its ratio is larger, and the best such slate is a top-K sort. A slate
    without any reward has ratio 0.
    """
    size = slate.shape[-1]
    ratio = _ratio(reward, worth, slate)
    while True:
        other = (reward * (worth - ratio[..., None])).topk(size, dim=-1).indices
        value = _ratio(reward, worth, other)
        better = value > ratio
        if not better.any():
            return slate, ratio
        slate = torch.where(better[..., None], other, slate)
        ratio = torch.where(better, value, ratio)


def worth(world: MDPWorld, values: Tensor) -> Tensor:
    """What a candidate is worth: r_j (1 + P_j V). ``values`` (..., m) -> (..., m, n)"""
    return world.reward * (1 + torch.einsum("zjy,...y->...zj", world.transition, values))


def refuse_endless(world: MDPWorld) -> None:
    """Raise UserError when some policy can keep a session going for ever, so that no best value exists.

    That takes a set of states in each of which a full slate can be made of items that are surely
    clicked and stay within the set, and of items that are never a candidate (reward 0).
    """
    endless = torch.ones(world.state_count, dtype=torch.bool)
    while True:
        leaves = (world.transition[:, :, ~endless] > 0).any(2)  # (m, n)
        sure = (world.reward == 1) & ~leaves
        filler = world.reward == 0
        kept = endless & sure.any(1) & ((sure | filler).sum(1) >= world.slate_size)
        if bool((kept == endless).all()):
            break
        endless = kept
    if endless.any():
        _complain(int(endless.nonzero()[0]))


def nonzero_divisor(total: Tensor) -> Tensor:
    """``total``, with 1 for 0: what is divided by it is 0 there too."""
    return torch.where(total > 0, total, 1.0)


def _ratio(reward: Tensor, worth: Tensor, slate: Tensor) -> Tensor:
    shown = reward.gather(-1, slate)
    return (shown * worth.gather(-1, slate)).sum(-1) / nonzero_divisor(shown.sum(-1))


def _refuse_endless(onward: Tensor, may_end: Tensor) -> None:
    """Raise UserError unless every state leads to one whose sessions may end. (..., m, m), (..., m)"""
    ends = may_end
    for _ in range(onward.shape[-1]):
        ends = ends | ((onward > 0) & ends[..., None, :]).any(-1)
    if not ends.all():
        _complain(int((~ends).nonzero()[0, -1]))


def _complain(state: int) -> None:
    raise UserError(
        f"world: found sessions that never end from state {state} (every click is sure), "
        "expected rewards below 1, without which no value is finite"
    )
