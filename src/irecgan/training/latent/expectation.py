"""The E-step: what states the sessions were in, by the forward-backward algorithm (Rabiner, 1989)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.models.latent import SMALLEST, LatentTables
from irecgan.training.latent.trajectories import Trajectories

_CELLS = 4_000_000
"""Numbers per working table: bounds the memory."""


@dataclass(frozen=True)
class Expectation:
    """Expected counts, given the sessions."""

    log_likelihood: float  # of slates and answers together
    state: Tensor  # (N, Z), chance of each state at each step
    start: Tensor  # (Z,) sessions that begin in each state
    moves: Tensor  # (n + 1, Z, Z) moves between states by a click on each item
    candidate: Tensor  # (Z, n + 1), times an item was the candidate
    click: Tensor  # (Z, n + 1), times it was clicked
    showing: Tensor  # (Z, n + 1), sum of 1 / (weight of the slate) over the slates that hold it
    shown: Tensor  # (Z, n + 1), slates that hold it
    place: Tensor  # (2, Z, n + 1), sums of its ranks in them and of their squares
    reward: Tensor  # (Z, n + 1), rewards of its clicks
    leave: Tensor  # (Z, 2), clicks and ends at slates that were not logged
    kind: Tensor  # (Z, C), slates of each kind


def answer_chances(tables: LatentTables, steps: Trajectories) -> Tensor:
    """The chance of what was done at each step, given its slate, in each state. (N, Z)

    An unknown item that was clicked says nothing, nor does a slate of unknown items alone.
    """
    weight = tables.weight
    total = steps.total(weight.T)  # (N, Z)
    refused = steps.total((weight * (1 - tables.survival)).T)
    clicked = (tables.weight * tables.survival).T[steps.click]
    answer = torch.where(steps.clicked[:, None], clicked, refused) / total.clamp(min=SMALLEST)
    unseen = torch.where(steps.clicked[:, None], 1 - tables.leave, tables.leave)
    unknown = (steps.clicked & (steps.click == steps.items))[:, None] | (steps.logged[:, None] & (total == 0))
    answer = torch.where(steps.logged[:, None], answer, unseen)
    return torch.where(unknown, 1.0, answer).clamp(min=SMALLEST)


def kind_log_chances(tables: LatentTables, steps: Trajectories) -> Tensor:
    """The log chance of each step's slate, as a set, by each kind; 0 where it was not logged. (N, C)"""
    chance = steps.total(tables.kind_logit.T) + tables.kind_base
    return torch.where(steps.logged[:, None], chance, 0.0)


def slate_log_chances(tables: LatentTables, kinds: Tensor) -> Tensor:
    """The log chance of each step's slate in each state, from that by each kind (N, C). (N, Z)"""
    peak = kinds.max(1, keepdim=True).values
    return ((kinds - peak).exp() @ tables.kind_share.T).clamp(min=SMALLEST).log() + peak


@dataclass(frozen=True)
class Beliefs:
    """What is believed of the states along the sessions, by what was seen so far."""

    before: Tensor  # (N, Z) before each step is seen
    after: Tensor  # (N, Z)
    likelihood: Tensor  # (N, Z) of what each step shows, in each state, over that in the likeliest one
    mass: Tensor  # (N, 1) the mean of that over the belief before
    log_mass: Tensor  # (N,) the log chance of each step


def forward(tables: LatentTables, steps: Trajectories, log_chance: Tensor) -> Beliefs:
    """The beliefs before and after each step. ``log_chance`` (N, Z): of what each step shows, in each state."""
    peak = log_chance.max(1, keepdim=True).values
    likelihood = (log_chance - peak).exp()  # (N, Z)
    before, after, masses = [], [], []
    belief = tables.start.expand(steps.alive[0], -1)
    parts = zip(likelihood.split(steps.alive), steps.click.split(steps.alive), [*steps.alive[1:], 0], strict=True)
    for chance, click, stay in parts:
        joint = belief * chance
        mass = joint.sum(1, keepdim=True).clamp(min=SMALLEST)
        before.append(belief)
        masses.append(mass)
        after.append(joint / mass)
        if stay:
            moves = tables.transition.index_select(0, click[:stay])
            belief = torch.bmm(after[-1][:stay, None], moves).squeeze(1)
    mass = torch.cat(masses)
    return Beliefs(torch.cat(before), torch.cat(after), likelihood, mass, (mass.log() + peak).squeeze(1))


def expect(tables: LatentTables, steps: Trajectories, kinds: Tensor) -> Expectation:
    """The expected counts. ``kinds`` (N, C): from `kind_log_chances`, which EM leaves as they are."""
    slate = slate_log_chances(tables, kinds)
    answer = answer_chances(tables, steps)
    seen = forward(tables, steps, slate + answer.log())
    state, moves = _backward(tables, steps, seen)
    logged = state * steps.logged[:, None]
    clicks = steps.clicked[:, None] & (steps.click != steps.items)[:, None]
    weight = tables.weight
    total = steps.total(weight.T)
    ends = (steps.logged & ~steps.clicked)[:, None]
    refused = steps.total((weight * (1 - tables.survival)).T)
    refusal = torch.where(ends & (refused > 0), state / refused.clamp(min=SMALLEST), 0.0)
    choosing = torch.where((ends | (clicks & steps.logged[:, None])) & (total > 0), logged, 0.0)
    clicked = _scatter(steps.click, state * clicks, steps.items)
    return Expectation(
        log_likelihood=float(seen.log_mass.sum()),
        state=state,
        start=state[: steps.alive[0]].sum(0),
        moves=moves,
        candidate=(clicked + weight.T * (1 - tables.survival.T) * steps.by_item(refusal)).T,
        click=clicked.T,
        showing=steps.by_item(choosing / total.clamp(min=SMALLEST)).T,
        shown=steps.by_item(logged).T,
        place=_places(steps, logged).transpose(1, 2),
        reward=_scatter(steps.click, state * clicks * steps.reward[:, None], steps.items).T,
        leave=_leaves(steps, state),
        kind=_kinds(tables, kinds, logged),
    )


def _backward(tables: LatentTables, steps: Trajectories, seen: Beliefs) -> tuple[Tensor, Tensor]:
    """The chance of each state at each step (N, Z), and the expected moves (n + 1, Z, Z)."""
    after, first = seen.after, steps.first
    ahead = torch.ones_like(after)  # chance of the later steps of a session, over what the past makes of it
    message = torch.zeros_like(after)  # the same, as seen from the state that a click leads to
    chance, mass, aheads, messages, click = (
        table.split(steps.alive) for table in (seen.likelihood, seen.mass, ahead, message, steps.click)
    )
    for t in range(len(steps.alive) - 2, -1, -1):
        stay = steps.alive[t + 1]
        told = chance[t + 1] * aheads[t + 1] / mass[t + 1]
        moves = tables.transition.index_select(0, click[t][:stay])
        messages[t][:stay] = told
        aheads[t][:stay] = torch.bmm(moves, told[:, :, None]).squeeze(2)
    state = after * ahead
    state = state / state.sum(1, keepdim=True).clamp(min=SMALLEST)
    moving = torch.cat(
        [torch.arange(a, a + n) for a, n in zip(first, steps.alive[1:], strict=False)]
        or [torch.empty(0, dtype=torch.int64)]
    )
    outer = torch.zeros_like(tables.transition)
    for part in moving.split(max(1, _CELLS // tables.states**2)):
        outer.index_add_(0, steps.click[part], after[part][:, :, None] * message[part][:, None])
    return state, tables.transition * outer


def _scatter(index: Tensor, values: Tensor, items: int) -> Tensor:
    """The sum of ``values`` (N, Z) by item ``index`` (N,). (n + 1, Z)"""
    return values.new_zeros(items + 1, values.shape[1]).index_add_(0, index, values)


def _places(steps: Trajectories, logged: Tensor) -> Tensor:
    """Sums of the ranks of each item in its slates, and of their squares. (2, n + 1, Z)"""
    sizes = steps.item_start.diff()
    owner = torch.arange(len(steps)).repeat_interleave(sizes)
    rank = (torch.arange(len(steps.item)) - steps.item_start[:-1].repeat_interleave(sizes)).to(logged)
    total = logged.new_zeros(2, steps.items + 1, logged.shape[1])
    for part in torch.arange(len(owner)).split(max(1, _CELLS // logged.shape[1])):
        once = logged[owner[part]] * rank[part, None]
        total[0].index_add_(0, steps.item[part], once)
        total[1].index_add_(0, steps.item[part], once * rank[part, None])
    return total


def _leaves(steps: Trajectories, state: Tensor) -> Tensor:
    blind = ~steps.logged
    return torch.stack([state[blind & steps.clicked].sum(0), state[blind & ~steps.clicked].sum(0)], dim=1)


def _kinds(tables: LatentTables, kinds: Tensor, logged: Tensor) -> Tensor:
    scaled = (kinds - kinds.max(1, keepdim=True).values).exp()  # (N, C)
    total = (scaled @ tables.kind_share.T).clamp(min=SMALLEST)  # (N, Z)
    return tables.kind_share * ((logged / total).T @ scaled)
