"""Planning for someone who knows a simulated world, or believes to know its users, but sees only clicks.

A plan is a set of (slate, values) pairs: ``values[z]`` is what a session is worth that is in state z when
the slate is shown and that is continued by older pairs of the set. What is known of a session is the belief
b, its chance to be in each state, so a pair is worth b . values, and the best pair's slate is shown.
Point-based value iteration (Pineau, Gordon and Thrun, 2003) improves the pairs at beliefs that occur.
Every number is the value of a way to act that exists: a lower bound on the best history-based policy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from irecgan.worlds.candidates import CandidateModel
from irecgan.worlds.mdp import MDPWorld
from irecgan.worlds.oracle import policy_value
from irecgan.worlds.static import best_static_slate
from irecgan.worlds.values import best_slates, nonzero_divisor, refuse_endless, slate_candidates, worth

_STEPS = 6
"""Of each kind, in the search for a slate."""
_CONVERGED = 1e-4
"""Relative gain of a backup below which a round is over."""
_BACKUPS = 20
"""Improvements of the plan of a known world at the same beliefs, at most."""
_ROUNDING = 1e-12
"""Relative loss of worth that is none."""
_IMPROVEMENTS = 50
"""Of a policy that sees the states, at most."""
_CELLS = 4_000_000
"""Numbers per working table: bounds the memory, and larger ones are slower, as they leave the cache."""
_LONGEST = 50
"""Clicks after which sessions that gather beliefs are cut."""


@dataclass(frozen=True)
class Plan:
    """L pairs of slate and values."""

    values: Tensor  # (L, m) float64
    slates: Tensor  # (L, K) int64

    def choose(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        """The best pair for every belief (B, m) and its worth: index (B,), value (B,)."""
        value, index = (belief @ self.values.T).max(1)
        return index, value

    def at(self, index: Tensor) -> "Plan":
        """The pairs ``index``."""
        return Plan(self.values[index], self.slates[index])


def posterior(model: CandidateModel, belief: Tensor, slate: Tensor, click: Tensor) -> Tensor:
    """Bayes' belief after ``click`` (B,) in ``slate`` (B, K). (B, m) -> (B, m)

    A click that the belief holds impossible teaches nothing: then every state is as likely.
    """
    total = model.weight[:, slate].sum(2).T  # (B, m)
    chance = (model.weight[:, click] * model.survival[:, click]).T / nonzero_divisor(total)
    joint = torch.einsum("bz,zby->by", belief * chance, model.transition[:, click])
    mass = joint.sum(1, keepdim=True)
    return torch.where(mass > 0, joint / nonzero_divisor(mass), 1 / model.states)


def make_plan(world: MDPWorld, generator: torch.Generator, *, beliefs: int = 256, rounds: int = 4) -> Plan:
    """A plan for sessions in ``world``, from its start state; see `improved_plan`.

    It begins with fixed slates, so it is never worth less than ``best_static_slate``. Raises UserError in a
    world where sessions may never end.
    """
    refuse_endless(world)
    model = CandidateModel.of_world(world)
    return improved_plan(
        model, _fixed_slates(world), generator, beliefs=[beliefs] * rounds, at_once=beliefs, backups=_BACKUPS
    )


def improved_plan(
    model: CandidateModel,
    plan: Plan,
    generator: torch.Generator,
    *,
    beliefs: Sequence[int],
    at_once: int,
    backups: int,
) -> Plan:
    """A plan that is worth no less than ``plan`` at any belief that was looked at.

    In each of as many rounds as there are ``beliefs`` sessions are played by the plan so far, at most so many
    different beliefs that they met are kept, and the plan is improved at these, ``at_once`` in turn and up to
    ``backups`` times. In the first round each slate is the best one if the state were seen from the next click on:
    a poor plan would meet few beliefs.
    """
    start = start_belief(model, 1)
    seen, size = seen_values(model, plan), plan.slates.shape[1]
    for number, most in enumerate(beliefs):

        def slates(belief: Tensor, first: bool = number == 0, plan: Plan = plan) -> Tensor:
            return continued_slates(model, seen, belief, size) if first else plan.slates[plan.choose(belief)[0]]

        sessions = most // 2 if number == 0 else 2 * most  # searching for slates is slow
        met = torch.cat(_meet(model, slates, sessions, generator)).unique(dim=0)
        chosen = torch.randperm(len(met), generator=generator)[: most - 1]
        points = torch.cat([start, met[chosen]])
        for _ in range(backups):
            before = plan.choose(points)[1]
            plan = _improve(model, plan, points, generator, at_once)
            gain = plan.choose(points)[1] - before
            if gain.max() <= _CONVERGED * before.max():
                break
    return plan


def fixed_slates(model: CandidateModel, slate_size: int) -> Plan:
    """One slate throughout: the most attractive items of every state, and those of all states on average.

    Raises UserError where such sessions never end.
    """
    appeal = torch.cat([model.survival, model.survival.mean(0, keepdim=True)])
    slates = appeal.topk(slate_size, dim=1).indices  # (m + 1, K)
    weight = model.weight.expand(len(slates), -1, -1)
    rate = slate_candidates(weight, slates[:, None].expand(-1, model.states, -1)) * model.survival
    return Plan(candidate_rate_values(model, rate), slates)


def candidate_rate_values(model: CandidateModel, rate: Tensor) -> Tensor:
    """What sessions are worth from each state on, by chances of clicks ``rate``. (..., m, n) -> (..., m)"""
    onward = torch.einsum("...zj,zjy->...zy", rate, model.transition)
    identity = torch.eye(model.states, dtype=onward.dtype)
    values: Tensor = torch.linalg.solve(identity - onward, (rate * model.gain).sum(-1))
    return values


def seen_values(model: CandidateModel, plan: Plan) -> Tensor:
    """What a session is worth from each state on to someone who sees the states: no less than by ``plan``. (m,)

    Policy iteration, begun at the slates that ``plan`` holds best in each state.
    """
    slates = plan.slates[plan.values.argmax(0)]  # (m, K)
    values = candidate_rate_values(model, slate_candidates(model.weight, slates) * model.survival)
    for _ in range(_IMPROVEMENTS):
        worth = model.survival * (model.gain + model.transition @ values)
        slates, _ = best_slates(model.weight, worth, slates)
        before, rate = values, slate_candidates(model.weight, slates) * model.survival
        values = candidate_rate_values(model, rate)
        if (values - before).max() <= _CONVERGED * values.max():
            break
    return values


def start_belief(model: CandidateModel, sessions: int) -> Tensor:
    """What is known before the first slate. (B, m) float64"""
    return model.start.repeat(sessions, 1)


def continued_slates(model: CandidateModel, values: Tensor, belief: Tensor, slate_size: int) -> Tensor:
    """The slate found best at each belief (B, m), if a session is worth ``values`` (m,) after the next click. (B, K)"""
    onward = _onward(model, values[None])
    different, which = belief.unique(dim=0, return_inverse=True)
    begin = (different @ model.survival).topk(slate_size, dim=1).indices
    rows = max(1, _CELLS // (model.weight.numel() * slate_size))
    chunks = zip(different.split(rows), begin.split(rows), strict=True)
    return torch.cat([_backup(model, onward, *chunk, swaps=False).slates for chunk in chunks])[which]


def _fixed_slates(world: MDPWorld) -> Plan:
    """One slate throughout: the best such slate and every state's best items; and the best static pair."""
    static = best_static_slate(world)
    slates = torch.cat([static.later[None], world.ranking[:, : world.slate_size]])
    values = [policy_value(world, slate.expand(world.state_count, -1)) for slate in slates]
    first = slate_candidates(world.reward, static.first.expand(world.state_count, -1))
    values.append((first * worth(world, values[0])).sum(1))
    return Plan(torch.stack(values), torch.cat([slates, static.first[None]]))


def _meet(
    model: CandidateModel, slates: Callable[[Tensor], Tensor], sessions: int, generator: torch.Generator
) -> list[Tensor]:
    """The beliefs met in ``sessions`` sessions in which ``slates`` are shown: one tensor (B, m) per step."""
    belief = start_belief(model, sessions)
    met: list[Tensor] = []
    while len(belief) and len(met) < _LONGEST:
        met.append(belief)
        slate = slates(belief)  # (B, K)
        shown = model.weight[:, slate]  # (m, B, K)
        rate = shown * model.survival[:, slate] / nonzero_divisor(shown.sum(2, keepdim=True))
        chance = torch.einsum("bz,zbk->bk", belief, rate)
        draw = torch.rand(len(slate), 1, dtype=torch.float64, generator=generator)
        rank = torch.searchsorted(chance.cumsum(1), draw, right=True)  # K where the session ends
        stay = (rank < slate.shape[1]).squeeze(1)
        click = slate[stay].gather(1, rank[stay]).squeeze(1)
        belief = posterior(model, belief[stay], slate[stay], click)
    return met


def _improve(model: CandidateModel, plan: Plan, points: Tensor, generator: torch.Generator, at_once: int) -> Plan:
    """A plan that is worth no less than ``plan`` at any of ``points`` (B, m), with no more pairs than that takes.

    Pairs are made anew for ``at_once`` points drawn in turn, until they serve all others as well as ``plan`` does
    (Perseus; Spaan and Vlassis, 2005).
    """
    onward = _onward(model, plan.values)
    index, old = plan.choose(points)
    worth, left = torch.full_like(old, -torch.inf), torch.arange(len(points))
    values, slates = [], []
    while len(left):
        if len(left) > at_once:
            left = left[torch.randperm(len(left), generator=generator)[:at_once]]
        pairs = _better_pairs(model, onward, points[left], plan.at(index[left]), old[left])
        values.append(pairs.values)
        slates.append(pairs.slates)
        worth = worth.maximum(pairs.choose(points)[1])
        left = (worth < old - _ROUNDING * old.abs()).nonzero().squeeze(1)
    return _distinct(Plan(torch.cat(values), torch.cat(slates)))


def _better_pairs(model: CandidateModel, onward: Tensor, points: Tensor, old: Plan, worth: Tensor) -> Plan:
    """For every point (B, m) its ``old`` pair, of ``worth`` (B,), or a better one, continued as ``onward`` says."""
    rows = max(1, _CELLS // max(onward[0].numel(), model.weight.numel() * old.slates.shape[1]))
    parts = [_backup(model, onward, *chunk) for chunk in zip(points.split(rows), old.slates.split(rows), strict=True)]
    values, slates = torch.cat([part.values for part in parts]), torch.cat([part.slates for part in parts])
    better = ((points * values).sum(1) > worth)[:, None]
    return Plan(torch.where(better, values, old.values), torch.where(better, slates, old.slates))


def _onward(model: CandidateModel, values: Tensor) -> Tensor:
    """What a candidate is worth when each of L ``values`` (L, m) continues, times its weight in a slate. (m, n, L)"""
    clicked = (model.weight * model.survival)[..., None]
    return clicked * (model.gain[..., None] + model.transition @ values.T)


def _backup(model: CandidateModel, onward: Tensor, belief: Tensor, slate: Tensor, *, swaps: bool = True) -> Plan:
    """The best pair found for each belief (B, m), with the search begun at ``slate`` (B, K)."""
    best = _appraise(model, onward, belief, slate.clone())  # rows are replaced in place
    for step in (_linear_step, _swap_step)[: 1 + swaps]:
        rows = torch.arange(len(belief))  # whose last step gained: any other would take the same step once more
        for _ in range(_STEPS):
            here, now = belief[rows], best.at(rows)
            other = _appraise(model, onward, here, step(model, onward, here, now))
            better = other.worth > now.worth * (1 + 1e-12)
            if not better.any():
                break
            rows = rows[better]
            best.put(rows, other.at(better))
    return Plan(best.values, best.slate)


@dataclass(frozen=True)
class _Appraisal:
    """What a slate is worth at each of B beliefs: f = sum_z b_z N_z / D_z.

    D_z is the slate's weight in state z, and N_z the sum over its items of what each adds as a candidate,
    continued by the pair that is best after a click on it.
    """

    slate: Tensor  # (B, K)
    after: Tensor  # (B, n) int64, the pair that is best after a click on an item
    gain: Tensor  # (B, n), sum_z b_z / D_z of what an item adds to N_z
    total: Tensor  # (B, m), D_z
    values: Tensor  # (B, m), N_z / D_z
    worth: Tensor  # (B,), f

    def at(self, rows: Tensor) -> "_Appraisal":
        """That of the ``rows`` alone."""
        return _Appraisal(**{name: value[rows] for name, value in vars(self).items()})

    def put(self, rows: Tensor, other: "_Appraisal") -> None:
        """Replace the ``rows`` (R,) by those of ``other``."""
        for name, value in vars(self).items():
            value[rows] = getattr(other, name)


def _appraise(model: CandidateModel, onward: Tensor, belief: Tensor, slate: Tensor) -> _Appraisal:
    total = nonzero_divisor(model.weight[:, slate].sum(2).T)
    gain, after = torch.tensordot(belief / total, onward, dims=1).max(2)  # over the L pairs
    states = torch.arange(model.states)[None, :, None]
    added = onward[states, slate[:, None], after.gather(1, slate)[:, None]]  # (B, m, K)
    values = added.sum(2) / total
    return _Appraisal(slate, after, gain, total, values, (belief * values).sum(1))


def _linear_step(model: CandidateModel, onward: Tensor, belief: Tensor, now: _Appraisal) -> Tensor:  # noqa: ARG001
    """The K items that add most to first order: sum_z b_z (n_zj - N_z / D_z r_zj) / D_z. (B, K)"""
    cost = (belief / now.total * now.values) @ model.weight
    return (now.gain - cost).topk(now.slate.shape[1], dim=1).indices


def _swap_step(model: CandidateModel, onward: Tensor, belief: Tensor, now: _Appraisal) -> Tensor:
    """The slate with the one item swapped that gains most, if every item keeps its continuation. (B, K)"""
    size = now.slate.shape[1]
    states = torch.arange(model.states)[None, :, None]
    added = onward[states, torch.arange(model.items), now.after[:, None]]  # (B, m, n)
    reward = model.weight.expand_as(added)
    shown = now.slate[:, None].expand(-1, model.states, -1)  # (B, m, K)
    top = (now.values * now.total)[..., None, None] - added.gather(2, shown)[..., None] + added[:, :, None]
    bottom = now.total[..., None, None] - reward.gather(2, shown)[..., None] + reward[:, :, None]
    worth = torch.einsum("bz,bzkn->bkn", belief, top / nonzero_divisor(bottom))  # (B, K, n)
    worth = worth.scatter(2, now.slate[:, None].expand(-1, size, -1), -torch.inf)
    best = worth.flatten(1).argmax(1)[:, None]
    return now.slate.scatter(1, best // model.items, best % model.items)


def _distinct(plan: Plan) -> Plan:
    """One of each set of pairs with the same values."""
    _, index = np.unique(plan.values.numpy(), axis=0, return_index=True)
    return plan.at(torch.from_numpy(index))
