"""A user model with a hidden state, of which slate and click are both evidence.

A log's slates were often made by a system that knew more of the user than the clicks tell: which slate it showed
is then evidence of the user's state. A state z shows a kind of slate c with chance ``kind_share[z, c]``; a kind
holds each item with a chance of its own. Of a slate, one item becomes the click candidate in proportion to
``weight[z, j]``, and is clicked with chance ``survival[z, j]``: then the state moves by ``transition[j, z]``.
Otherwise the session ends. A policy that makes its own slates learns from clicks alone: `advance`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from irecgan.models.rewards import RewardLaw
from irecgan.models.user import Outcome

SMALLEST = 1e-300
"""Chances below this are rounding: keeps logarithms finite."""


@dataclass(frozen=True)
class LatentTables:
    """The numbers of a latent-state user model: Z states, n items, C kinds of slates, float64.

    The last of the n + 1 items stands for all that the catalogue does not know: it has weight 0 in every slate.
    """

    start: Tensor  # (Z,) chance of each state at the first slate
    weight: Tensor  # (Z, n + 1), in proportion to which an item of the slate becomes the candidate
    survival: Tensor  # (Z, n + 1), chance that the candidate is clicked
    reward: Tensor  # (Z, n + 1), mean reward of a click
    transition: Tensor  # (n + 1, Z, Z), the state after a click on an item; rows sum to 1
    leave: Tensor  # (Z,), chance that a session ends at a slate that was not logged
    kind_share: Tensor  # (Z, C), chance of each kind of slate in a state
    kind_logit: Tensor  # (C, n + 1), log odds that a slate of a kind holds an item; 0 for the unknown one
    kind_base: Tensor  # (C,), log chance that it holds none

    @property
    def states(self) -> int:
        """The number of states m."""
        return len(self.start)

    @property
    def items(self) -> int:
        """The number of items n."""
        return self.weight.shape[1] - 1


@dataclass(frozen=True)
class BeliefState:
    """What is known of B sessions: the chance of every hidden state."""

    belief: Tensor  # (B, Z) float64, rows sum to 1

    def __len__(self) -> int:
        return len(self.belief)

    def take(self, rows: Tensor) -> "BeliefState":
        """A copy that holds the sessions ``rows`` (R,)."""
        return BeliefState(self.belief[rows])

    def join(self, others: Sequence["BeliefState"]) -> "BeliefState":
        """The sessions of this state and then those of ``others``."""
        return BeliefState(torch.cat([self.belief, *(other.belief for other in others)]))


class LatentUserModel(nn.Module):
    """Users with a hidden state; see the module. Its numbers are buffers: EM sets them, no gradient does.

    ``plan_values`` (L, Z) and ``plan_slates`` (L, K) are what was planned for these users, without rows before that:
    the slate of the pair whose values are most at a belief is shown; see `irecgan.policies.planning`.
    """

    start_chance: Tensor
    weight: Tensor
    kind_base: Tensor
    plan_values: Tensor
    plan_slates: Tensor

    def __init__(self, tables: LatentTables, reward_law: RewardLaw | None = None) -> None:
        super().__init__()
        self.reward_law = reward_law or RewardLaw()
        for field in fields(LatentTables):
            self.register_buffer(_buffer(field.name), getattr(tables, field.name))
        self.set_plan(tables.start.new_zeros(0, tables.states), torch.zeros(0, 1, dtype=torch.int64))

    @property
    def tables(self) -> LatentTables:
        """The numbers of the model."""
        return LatentTables(**{field.name: getattr(self, _buffer(field.name)) for field in fields(LatentTables)})

    def set_tables(self, tables: LatentTables) -> None:
        """Other numbers, of any number of states and kinds; what was planned is void."""
        for field in fields(LatentTables):
            self.register_buffer(_buffer(field.name), getattr(tables, field.name).contiguous())
        self.set_plan(tables.start.new_zeros(0, tables.states), torch.zeros(0, 1, dtype=torch.int64))

    def set_plan(self, values: Tensor, slates: Tensor) -> None:
        """What was planned: (L, Z) and (L, K)."""
        self.register_buffer("plan_values", values)
        self.register_buffer("plan_slates", slates)

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.tables.items

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As in nn.Module; but the numbers of states, kinds and plans are those of ``state_dict``."""
        for name, own in list(self.named_buffers()):
            if (new := state_dict.get(name)) is not None and new.ndim == own.ndim:
                self.register_buffer(name, torch.empty_like(new))
        found = super().load_state_dict(state_dict, strict, assign)
        _refuse_misfits(self)
        return found

    def start(self, sessions: int) -> BeliefState:
        """The belief before the first slate."""
        return BeliefState(self.tables.start.expand(sessions, -1))

    def outcome(self, state: BeliefState, slate: Tensor) -> Outcome:
        """What may happen to ``slate`` (B, K), the hidden state summed out."""
        tables = self.tables
        weight, survival = tables.weight[:, slate], tables.survival[:, slate]  # (Z, B, K)
        chance = weight * survival / weight.sum(2, keepdim=True).clamp(min=SMALLEST)
        click = torch.einsum("bz,zbk->bk", state.belief, chance)
        stop = (1 - click.sum(1)).clamp(min=SMALLEST)
        reward = torch.einsum("bz,zbk->bk", state.belief, chance * tables.reward[:, slate])
        return Outcome(
            click=click.clamp(min=SMALLEST).log().float(),
            stop=stop.log().float(),
            reward=(reward / click.clamp(min=SMALLEST)).float(),
        )

    def sample_reward(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Rewards drawn around their ``mean`` (B,)."""
        return self.reward_law.sample(mean, generator)

    def advance(self, state: BeliefState, slate: Tensor, click: Tensor) -> BeliefState:
        """Bayes' belief after ``click`` (B,) in ``slate`` (B, K), whoever made the slate.

        A click that the belief holds impossible, or on an unknown item, teaches nothing of the state before it.
        """
        tables = self.tables
        total = tables.weight[:, slate].sum(2).T  # (B, Z)
        total = torch.where(total > 0, total, 1.0)
        known = click < tables.items
        chance = (tables.weight[:, click] * tables.survival[:, click]).T / total
        joint = state.belief * torch.where(known[:, None], chance, 1.0)
        mass = joint.sum(1, keepdim=True)
        before = torch.where(mass > SMALLEST, joint / mass.clamp(min=SMALLEST), state.belief)
        after = torch.einsum("bz,bzy->by", before, tables.transition[click])
        return BeliefState(after / after.sum(1, keepdim=True))


def with_new_items(model: LatentUserModel, new: int) -> LatentUserModel:
    """The model for a catalogue with ``new`` items more after its own, which it holds to be unknown ones."""

    def longer(table: Tensor, dim: int) -> Tensor:
        last = table.narrow(dim, table.shape[dim] - 1, 1)
        return torch.cat([table, *[last] * new], dim=dim)

    old = model.tables
    names = ("weight", "survival", "reward", "kind_logit")
    wider = {name: longer(getattr(old, name), 1) for name in names} | {"transition": longer(old.transition, 0)}
    larger = LatentUserModel(LatentTables(**(vars(old) | wider)), model.reward_law)
    larger.set_plan(model.plan_values, model.plan_slates)
    return larger


def _refuse_misfits(model: LatentUserModel) -> None:
    """Raise RuntimeError unless the tables are of one size."""
    states, width = model.weight.shape
    kinds = len(model.kind_base)
    expected = {
        "start_chance": (states,),
        "survival": (states, width),
        "reward": (states, width),
        "transition": (width, states, states),
        "leave": (states,),
        "kind_share": (states, kinds),
        "kind_logit": (kinds, width),
        "plan_values": (len(model.plan_slates), states),
    }
    for name, shape in expected.items():
        if tuple(getattr(model, name).shape) != shape:
            raise RuntimeError(f"{name}: found shape {tuple(getattr(model, name).shape)}, expected {shape}")


def one_state(items: int) -> LatentTables:
    """A model in which there is nothing to know: one state, one kind of slate."""

    def full(value: float, *shape: int) -> Tensor:
        return torch.full(shape, value, dtype=torch.float64)

    weight = full(1.0, 1, items + 1)
    weight[:, items] = 0
    return LatentTables(
        start=full(1.0, 1),
        weight=weight,
        survival=full(0.5, 1, items + 1),
        reward=full(1.0, 1, items + 1),
        transition=full(1.0, items + 1, 1, 1),
        leave=full(0.5, 1),
        kind_share=full(1.0, 1, 1),
        kind_logit=full(0.0, 1, items + 1),
        kind_base=full(0.0, 1),
    )


def _buffer(name: str) -> str:
    """The name of the buffer that holds a table: ``start`` is a method."""
    return "start_chance" if name == "start" else name
