"""How likely sessions are in a simulated world: the forward algorithm over its hidden states (Rabiner, 1989)."""

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.worlds.mdp import MDPWorld
from irecgan.worlds.values import nonzero_divisor


def outcome_chances(world: MDPWorld, slate: Tensor) -> Tensor:
    """The chance of a click on each item of ``slate`` (B, K) and, last, of the end, in every state. (B, m, K + 1)"""
    reward = world.reward[:, slate].transpose(0, 1)  # (B, m, K)
    click = reward**2 / nonzero_divisor(reward.sum(2, keepdim=True))  # candidate, then clicked
    return torch.cat([click, 1 - click.sum(2, keepdim=True)], dim=2)


def session_log_chances(world: MDPWorld, batch: SessionBatch, shown: Tensor) -> Tensor:
    """Log chance of every prefix of every session. (B, T) float64; -inf where it cannot happen, 0 on padding

    Args:
        world: whose hidden state nobody saw: it is summed out, given all slates and clicks of the prefix.
        batch: sessions with all of their slates.
        shown: (B, T, m) log chance that a step's slate is shown in each hidden state. With 0 the chance is
            that of the answers, given the slates.

    """
    joint = torch.zeros(len(batch), world.state_count, dtype=world.reward.dtype)
    joint[:, world.start_state] = 1  # chance of each hidden state, given the prefix so far
    log_chance = joint.new_zeros(len(batch))
    found = joint.new_zeros(batch.real.shape)
    for t in range(batch.real.shape[1]):
        rows = batch.real[:, t].nonzero().squeeze(1)
        mass, moved = _step(world, batch, t, rows, joint=joint[rows], shown=shown[rows, t].to(joint))
        log_chance = log_chance.index_add(0, rows, mass)
        found[rows, t] = log_chance[rows]
        joint = torch.zeros(len(batch), world.state_count, dtype=joint.dtype).index_copy(0, rows, moved)
    return found


def _step(
    world: MDPWorld, batch: SessionBatch, t: int, rows: Tensor, *, joint: Tensor, shown: Tensor
) -> tuple[Tensor, Tensor]:
    """The log chance of step ``t`` given those before it (R,), and the hidden states after it (R, m)."""
    slate, position = batch.slate[rows, t], batch.position[rows, t]
    outcome = torch.where(position == NOTHING, slate.shape[1], position)
    answer = outcome_chances(world, slate)[torch.arange(len(rows)), :, outcome]  # (R, m)
    peak = shown.max(1).values
    scale = torch.where(peak.isfinite(), peak, 0.0)  # slates of 10 items have chances down to exp(-38)
    joint = joint * (shown - scale[:, None]).exp() * answer
    mass = joint.sum(1)
    click = torch.where(position == NOTHING, 0, batch.click[rows, t])
    moved = torch.einsum("bz,zby->by", joint / nonzero_divisor(mass)[:, None], world.transition[:, click])
    return scale + mass.log(), moved
