"""The simulated world of the paper's online test (section 7.1): a small Markov decision process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from irecgan.data.batch import NOTHING
from irecgan.errors import UserError
from irecgan.files import read_json, write_text
from irecgan.seeding import Streams
from irecgan.worlds.interface import Response
from irecgan.worlds.spec import parse_spec

ROW_TOLERANCE = 1e-6
"""How far a transition row of a file may be from summing to 1."""

_Probability = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
_Row = tuple[_Probability, ...]


class MDPSpec(BaseModel):
    """The contents of ``WORLD.json``. m states, n items; other fields are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    reward: tuple[_Row, ...]
    """(m, n) in [0, 1]: the probability that an item, once the candidate, is clicked."""
    transition: tuple[tuple[_Row, ...], ...]
    """(m, n, m): next states after a click on an item in a state; rows sum to 1 within ROW_TOLERANCE."""
    slate_size: Annotated[int, Field(ge=1, strict=True)]
    start_state: Annotated[int, Field(ge=0, strict=True)]
    law: Annotated[str, Field(strict=True)] = "given"
    """How the transitions were drawn: ``softmax``, ``dirichlet:ALPHA``, or any other note."""
    seed: Annotated[int, Field(strict=True)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        states, items = len(self.reward), len(self.reward[0]) if self.reward else 0
        if not states or not items:
            raise ValueError("reward: found no entries, expected states x items")
        _expect_lengths("reward", self.reward, items, "items, as in row 0")
        _expect_lengths("transition", (self.transition,), states, "states, as in reward", indexed=False)
        _expect_lengths("transition", self.transition, items, "items, as in reward")
        for state, rows in enumerate(self.transition):
            _expect_lengths(f"transition[{state}]", rows, states, "states, as in reward")
        sums = np.asarray(self.transition).sum(2)  # (m, n)
        if (wrong := np.argwhere(abs(sums - 1) > ROW_TOLERANCE)).size:
            state, item = wrong[0]
            raise ValueError(
                f"transition[{state}][{item}]: found a row that sums to {sums[state, item]:.9g}, expected 1"
            )
        if self.slate_size > items:
            raise ValueError(f"slate_size: found {self.slate_size}, expected at most the {items} items")
        if self.start_state >= states:
            raise ValueError(f"start_state: found {self.start_state}, expected below the {states} states")
        return self


@dataclass(frozen=True)
class MDPState:
    """The hidden states of B sessions."""

    state: Tensor  # (B,) int64

    def __len__(self) -> int:
        return len(self.state)

    def take(self, rows: Tensor) -> "MDPState":
        """A copy that holds the sessions ``rows`` (R,)."""
        return MDPState(self.state[rows])

    def join(self, others: Sequence["MDPState"]) -> "MDPState":
        """The sessions of this state and then those of ``others``."""
        return MDPState(torch.cat([self.state, *(other.state for other in others)]))


class MDPWorld:
    """Answers slates as the paper's simulated online test does (section 7.1).

    A click candidate is drawn from the slate in proportion to its reward r in the present state, and
    is clicked with probability r: then the reward is 1 and the state moves by P[state, item];
    otherwise the session ends. A slate without any reward ends the session.
    """

    def __init__(self, spec: MDPSpec) -> None:
        self.spec = spec
        self.reward = torch.tensor(spec.reward, dtype=torch.float64)  # (m, n)
        self.transition = torch.tensor(spec.transition, dtype=torch.float64)  # (m, n, m)
        self.state_count, self.catalogue_size = self.reward.shape
        self.slate_size = spec.slate_size
        self.start_state = spec.start_state
        total = self.transition.cumsum(2)
        self._cumulative = total / total[:, :, -1:]  # ends in exactly 1

    @property
    def ranking(self) -> Tensor:
        """The items of every state by falling reward, ties by item number. (m, n) int64"""
        return self.reward.argsort(dim=1, descending=True, stable=True)

    def start(self, sessions: int, generator: torch.Generator | None = None) -> MDPState:  # noqa: ARG002
        """All sessions in the start state; nothing is drawn."""
        return MDPState(torch.full((sessions,), self.start_state))

    def respond(
        self, state: MDPState, slate: Tensor, generator: torch.Generator, *, ignored: Tensor | None = None
    ) -> Response:
        """The answer to ``slate`` (B, K). Entries that are true in ``ignored`` (B, K) are not shown."""
        reward = self.reward[state.state[:, None], slate]  # (B, K)
        if ignored is not None:
            reward = reward.masked_fill(ignored, 0.0)
        draw = torch.rand(2, len(slate), 1, dtype=torch.float64, generator=generator)
        cumulative = reward.cumsum(1)
        candidate = torch.searchsorted(cumulative, draw[0] * cumulative[:, -1:], right=True)  # (B, 1)
        # Without any reward the search runs off the slate; the last entry then has reward 0 as well.
        candidate = candidate.clamp(max=slate.shape[1] - 1)
        clicked = draw[1] < reward.gather(1, candidate)
        position = torch.where(clicked, candidate, NOTHING).squeeze(1)
        return Response(position, clicked.squeeze(1).float())

    def advance(
        self,
        state: MDPState,
        slate: Tensor,  # noqa: ARG002
        click: Tensor,
        generator: torch.Generator,
    ) -> MDPState:
        """The state after ``click`` (B,)."""
        cumulative = self._cumulative[state.state, click]  # (B, m)
        draw = torch.rand(len(click), 1, dtype=torch.float64, generator=generator)
        return MDPState(torch.searchsorted(cumulative, draw, right=True).squeeze(1))

    def hidden(self, state: MDPState) -> Tensor:
        """The true state. (B,) int64"""
        return state.state

    def candidates(self, state: MDPState) -> None:  # noqa: ARG002
        """Any item may be shown."""
        return

    def save(self, path: Path) -> None:
        """Write the world as ``WORLD.json``; ``load`` gives back the very same numbers."""
        write_text(path, json.dumps(self.spec.model_dump(mode="json"), allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a ``WORLD.json``. Raises UserError naming file and field when it is not one."""
        return cls(parse_spec(MDPSpec, str(path), read_json(path)))


def draw_world(law: str, states: int = 10, items: int = 50, slate_size: int = 10, *, seed: int) -> MDPWorld:
    """A random world: rewards U(0, 1), transition rows by ``law``, sessions start in state 0.

    ``softmax``: a row is softmax(U(0, 1)), nearly uniform, so that history tells little.
    ``dirichlet:ALPHA``: a row is Dirichlet(ALPHA); a small ALPHA makes it nearly deterministic.
    Worlds of one seed and size share their rewards. Raises UserError for wrong numbers or laws.

    >>> world = draw_world("dirichlet:0.02", states=3, items=5, slate_size=2, seed=1)
    >>> world.reward.shape, world.transition.shape
    (torch.Size([3, 5]), torch.Size([3, 5, 3]))
    """
    for name, size in (("states", states), ("items", items), ("slate_size", slate_size)):
        if size < 1:
            raise UserError(f"{name}: found {size}, expected at least 1")
    if slate_size > items:
        raise UserError(f"slate_size: found {slate_size}, expected at most the {items} items")
    streams = Streams(seed).child("world")
    spec = MDPSpec(
        reward=streams.numpy("reward").random((states, items)).tolist(),
        transition=_draw_transition(law, (states, items, states), streams).tolist(),
        slate_size=slate_size,
        start_state=0,
        law=law,
        seed=seed,
    )
    return MDPWorld(spec)


def mix_band(items: int, slate_size: int) -> tuple[int, int]:
    """The ranks ``low <= rank < high`` from which the mix policy draws: the top 20 % to 50 % (section 7.1).

    A band that cannot fill a slate reaches further down, and begins higher only when it meets the end.

    >>> mix_band(50, 10), mix_band(20, 10), mix_band(10, 10)
    ((10, 25), (4, 14), (0, 10))
    """
    low = min(items // 5, items - slate_size)
    return low, max(items // 2, low + slate_size)


def _draw_transition(law: str, shape: tuple[int, int, int], streams: Streams) -> NDArray[np.float64]:
    generator = streams.numpy("transition", law)
    if law == "softmax":
        weight: NDArray[np.float64] = np.exp(generator.random(shape))
        weight /= weight.sum(2, keepdims=True)
        return weight
    name, _, number = law.partition(":")
    try:
        concentration = float(number)
    except ValueError:
        concentration = np.nan
    if name != "dirichlet" or not 1e-4 <= concentration <= 1e6:
        raise UserError(
            f"law: found {law!r}, expected 'softmax' or 'dirichlet:ALPHA' with ALPHA from 0.0001 to 1000000"
        )
    return generator.dirichlet([concentration] * shape[2], size=shape[:2])


def _expect_lengths(name: str, rows: Sequence[Sequence[Any]], length: int, what: str, *, indexed: bool = True) -> None:
    for index, row in enumerate(rows):
        if len(row) != length:
            place = f"{name}[{index}]" if indexed else name
            raise ValueError(f"{place}: found {len(row)} entries, expected {length} {what}")
