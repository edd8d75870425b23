"""A recurrent network that runs over whole sessions or one step at a time, with copyable state."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from irecgan.data.sparse import PaddedRows
from irecgan.models import lstm
from irecgan.models.content import FeatureEmbedding, Inputs, ItemContent
from irecgan.models.outputs import Output, TiedOutput
from irecgan.models.terms import TermName, Terms

Cell = Literal["lstm", "gru"]


@dataclass(frozen=True)
class Size:
    """The dimensions of a network."""

    items: int  # n, the catalogue
    embedding: int = 50  # E
    units: int = 512  # H, per layer
    layers: int = 2  # L
    cell: Cell = "lstm"
    output: Output = "untied"  # of the agent
    terms: tuple[TermName, ...] = ()  # of U's click scores


@dataclass(frozen=True)
class RecurrentState:
    """State of B sessions in a network of L layers of H units; copies of a session are not made before they differ."""

    hidden: Tensor  # (L, R, H)
    cell: Tensor | None  # (L, R, H); None for a GRU
    rows: Tensor | None = None  # (B,) which of the R each session has; None: each its own

    @property
    def top(self) -> Tensor:
        """The state that output layers read. (B, H)"""
        return self.hidden[-1] if self.rows is None else self.hidden[-1].index_select(0, self.rows)

    def read(self, layer: Callable[[Tensor], Tensor]) -> Tensor:
        """What ``layer`` makes of `top`, (B, H) -> (B, ...), once for sessions that have one state."""
        if self.rows is None or self.hidden.shape[1] > len(self.rows):
            return layer(self.top)
        return layer(self.hidden[-1]).index_select(0, self.rows)

    def __len__(self) -> int:
        return self.hidden.shape[1] if self.rows is None else len(self.rows)

    def take(self, rows: Tensor) -> "RecurrentState":
        """A copy of the sessions ``rows`` (R,), which may be on another device."""
        rows = rows.to(self.hidden.device)
        return RecurrentState(self.hidden, self.cell, rows if self.rows is None else self.rows[rows])

    def join(self, others: Sequence["RecurrentState"]) -> "RecurrentState":
        """The sessions of this state and then those of ``others``."""
        parts = [self.own(), *(other.own() for other in others)]
        hidden = torch.cat([part.hidden for part in parts], dim=1)
        cells = [part.cell for part in parts if part.cell is not None]
        return RecurrentState(hidden, torch.cat(cells, dim=1) if cells else None)

    def own(self) -> "RecurrentState":
        """The same with a row for each session."""
        if self.rows is None:
            return self
        cell = None if self.cell is None else self.cell.index_select(1, self.rows)
        return RecurrentState(self.hidden.index_select(1, self.rows), cell)


class Recurrent(nn.Module):
    """LSTM or GRU layers that start from the zero state.

    On a CPU an LSTM reads real inputs alone, see `irecgan.models.lstm`;
    without ``packs`` torch's own run, over padding.
    """

    packs = True

    def __init__(self, inputs: int, size: Size) -> None:
        super().__init__()
        network = {"lstm": nn.LSTM, "gru": nn.GRU}[size.cell]
        self.network = network(inputs, size.units, size.layers, batch_first=True)
        self.kind = size.cell
        self.rounds = False  # see rounded_products

    def forward(self, inputs: Tensor, steps: Tensor | None = None) -> Tensor:
        """Outputs after each input, meaningless beyond the first ``steps`` (B,). (B, T, I) -> (B, T, H)"""
        if self.rounds:
            with torch.autocast(inputs.device.type, torch.bfloat16):
                outputs, _ = self.network(inputs)
            return outputs.to(inputs)  # type: ignore[no-any-return]
        if self.packs and lstm.serves(self.network, inputs):
            return lstm.run(cast(nn.LSTM, self.network), inputs, steps)
        outputs, _ = self.network(inputs)
        return outputs  # type: ignore[no-any-return]

    def start(self, sessions: int) -> RecurrentState:
        """The zero state of ``sessions`` sessions, which is one."""
        weight = self.network.weight_ih_l0
        zeros = weight.new_zeros(self.network.num_layers, 1, self.network.hidden_size)
        rows = torch.zeros(sessions, dtype=torch.int64, device=weight.device)
        return RecurrentState(zeros, zeros if self.kind == "lstm" else None, rows)

    def looks_for_equals(self, device: torch.device) -> bool:
        """Whether to ask which sessions are equal: a GPU would have to be waited for."""
        return self.packs and device.type == "cpu" and not torch.is_grad_enabled()

    def step(self, inputs: Tensor, state: RecurrentState) -> RecurrentState:
        """The state after one more input. (B, I)"""
        if self.packs and lstm.serves(self.network, inputs) and not torch.is_grad_enabled():
            known = state.hidden, cast(Tensor, state.cell)
            return RecurrentState(*lstm.step(cast(nn.LSTM, self.network), inputs, *known, state.rows))
        state = state.own()
        if self.kind == "gru":
            _, hidden = self.network(inputs[:, None], state.hidden)
            return RecurrentState(hidden, None)
        _, (hidden, cell) = self.network(inputs[:, None], (state.hidden, state.cell))
        return RecurrentState(hidden, cell)


@contextmanager
def rounded_products(network: nn.Module) -> Iterator[None]:
    """Have the recurrent layers of ``network`` work in bfloat16 where they run over whole sessions.

    That is where learning spends its time. Their inputs and outputs, all weights, the states that a roll-out carries,
    scores and losses stay float32 (Micikevicius et al., 2018, "Mixed precision training"; bfloat16 has the range of
    float32, so that losses need no scale).
    """
    parts = [part for part in network.modules() if isinstance(part, Recurrent)]
    for part in parts:
        part.rounds = True
    try:
        yield
    finally:
        for part in parts:
            part.rounds = False


class ClickEncoder(nn.Module):
    """The state s_t = RNN(s_{t-1}, e_{t-1}) over the embeddings of the clicked items.

    s_0 is the state after a learnt start input. An item that is not in the catalogue (index n) has
    the zero embedding. Where items have columns, their vectors are added to the embeddings of the ids; where
    steps have context columns, the vector of step t is added to the input that makes s_t. A context that is
    not given is the log's average.
    """

    def __init__(self, size: Size, inputs: Inputs | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size.items + 1, size.embedding, padding_idx=size.items)
        self.first = nn.Parameter(torch.empty(size.embedding))
        self.recurrent = Recurrent(size.embedding, size)
        reads = inputs or Inputs()
        self.content = None if reads.items is None else ItemContent(reads.items, size.embedding)
        self.context = None if reads.context is None else FeatureEmbedding(reads.context, size.embedding)

    def forward(self, click: Tensor, context: PaddedRows | None = None, steps: Tensor | None = None) -> Tensor:
        """States s_0 .. s_{T-1}: the t-th has seen the clicks before t, and its context. (B, T) -> (B, T, H)

        Those beyond the first ``steps`` (B,) of a session mean nothing.
        """
        first = self.first.expand(click.shape[0], 1, -1)
        inputs = torch.cat([first, self.embedded(click[:, :-1])], dim=1)  # (B, T, E)
        states: Tensor = self.recurrent(self._within(inputs, context), steps)
        return states

    def start(self, sessions: int, context: PaddedRows | None = None) -> RecurrentState:
        """The state s_0 of ``sessions`` sessions. ``context`` (B, W) of their first step."""
        different = 1 if context is None else sessions
        first = self._within(self.first.expand(different, -1), context)
        state = self.recurrent.step(first, self.recurrent.start(different))
        if context is not None:
            return state
        return state.take(torch.zeros(sessions, dtype=torch.int64, device=first.device))

    def advance(self, state: RecurrentState, click: Tensor, context: PaddedRows | None = None) -> RecurrentState:
        """The state after ``click`` (B,). ``context`` (B, W) of the step that follows.

        Where sessions in one state have the same click, the state that follows is computed once.
        """
        if context is not None or state.rows is None or not self.recurrent.looks_for_equals(click.device):
            return self.recurrent.step(self._within(self.embedded(click), context), state)
        items = self.embedding.num_embeddings
        different, place = (state.rows * items + click).unique(return_inverse=True)
        state = RecurrentState(state.hidden, state.cell, different // items)
        return self.recurrent.step(self._within(self.embedded(different % items), None), state).take(place)

    def embedded(self, items: Tensor) -> Tensor:
        """The embeddings of ``items``, any shape. (...) -> (..., E)"""
        ids: Tensor = self.embedding(items)
        return self.with_content(ids, items)

    def with_content(self, ids: Tensor, items: Tensor) -> Tensor:
        """The embeddings ``ids`` (..., E) of the ids of ``items`` (...), and what their columns say. (..., E)"""
        return ids if self.content is None else self.content.ids(ids, items) + self.content(items)

    def _within(self, inputs: Tensor, context: PaddedRows | None) -> Tensor:
        """Inputs (..., E) with the vectors of their context."""
        if self.context is None:
            return inputs
        return inputs + (self.context.unknown() if context is None else self.context(context))


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw every parameter anew from ``generator``.

    Embeddings, also of features, are N(0, 0.1); all else is uniform in +-1/sqrt(width of its input), as torch's own
    defaults are; biases of recurrent and linear layers likewise,
    while those of items in tied outputs are 0, and the weights of terms.
    """
    for part in module.modules():
        if isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.1, generator=generator)
            if part.padding_idx is not None:
                with torch.no_grad():
                    part.weight[part.padding_idx].zero_()
        elif isinstance(part, ClickEncoder):
            nn.init.normal_(part.first, std=0.1, generator=generator)
        elif isinstance(part, nn.LSTM | nn.GRU):
            _uniform(part.parameters(), part.hidden_size, generator)
        elif isinstance(part, nn.Linear):
            _uniform(part.parameters(), part.in_features, generator)
        elif isinstance(part, TiedOutput):
            nn.init.zeros_(part.bias)
        elif isinstance(part, Terms):
            part.forget()
        elif isinstance(part, FeatureEmbedding):
            nn.init.normal_(part.weight, std=0.1, generator=generator)


def _uniform(parameters: Iterable[nn.Parameter], width: int, generator: torch.Generator) -> None:
    for parameter in parameters:
        nn.init.uniform_(parameter, -(width**-0.5), width**-0.5, generator=generator)
