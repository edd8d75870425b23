"""LSTM layers on a CPU, on real inputs alone: what torch's own compute, up to rounding, in less time.

Torch's layers repack their weights in every call and run over padding, which in batches of short sessions costs more
than the arithmetic. Here inputs lie packed, those of one time side by side, and products are oneDNN's where it has
them. Equations: Hochreiter and Schmidhuber (1997) with a forget gate, in torch's order of gates: i, f, g, o.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")

_BLOCK = 512
"""Sessions that step together: what lies between their products stays in caches, and in memory that is used again."""

_LEAST_UNITS = 256
"""Narrower layers are left to torch: what its kernels save in calls is then more than what they lose to padding."""

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

Weights = tuple[Tensor, Tensor, Tensor, Tensor]  # (4H, I), (4H, H), (4H,), (4H,): of inputs, of states, both biases


def serves(network: nn.Module, inputs: Tensor) -> bool:
    """Whether the functions here should stand in for ``network`` on ``inputs``: they can, and are faster."""
    if not isinstance(network, nn.LSTM) or network.hidden_size < _LEAST_UNITS:
        return False
    return inputs.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def run(network: nn.LSTM, inputs: Tensor, steps: Tensor | None = None) -> Tensor:
    """Outputs of the last layer from the zero state, 0 after the first ``steps`` (B,) inputs. (B, T, I) -> (B, T, H)"""
    sessions, times = inputs.shape[:2]
    if steps is None or not int(steps.sum()):  # weights keep a gradient, of 0, where there is nothing to read
        steps = torch.full((sessions,), times)
    entry, counts = _packed(steps, times)
    outputs = inputs.flatten(0, 1).index_select(0, entry)  # (M, I)
    for layer in range(network.num_layers):
        outputs = _Layer.apply(outputs, counts, *_weights(network, layer))  # type: ignore[no-untyped-call]
    padded: Tensor = outputs.new_zeros(sessions * times, outputs.shape[1])
    padded = padded.index_copy(0, entry, outputs)
    return padded.reshape(sessions, times, -1)


def step(
    network: nn.LSTM, inputs: Tensor, hidden: Tensor, cell: Tensor, rows: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Hidden and cell states (L, B, H) after one more input (B, I). Nothing is learned from them.

    ``rows`` (B,): which of the states (L, R, H) each session has; what several have is multiplied once.
    """
    after = hidden.new_empty(2, network.num_layers, len(inputs), hidden.shape[2])
    for begin in range(0, len(inputs), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        if rows is None:
            _step(network, inputs[block], (hidden[:, block], cell[:, block]), None, after[:, :, block])
        else:
            _step(network, inputs[block], (hidden, cell), rows[block], after[:, :, block])
    return after[0], after[1]


def _step(network: nn.LSTM, inputs: Tensor, states: tuple[Tensor, Tensor], rows: Tensor | None, after: Tensor) -> None:
    """`step` for one block of sessions; hidden and cell states are written to ``after`` (2, L, B, H)."""
    sharing = None if rows is None else _sharing(rows)
    for layer, (hidden, cell) in enumerate(zip(*states, strict=True)):
        of_inputs, of_states, *biases = _weights(network, layer)
        met = cell if rows is None else cell.index_select(0, rows)
        if sharing is None:
            gates = product(hidden if rows is None else hidden.index_select(0, rows), of_states, biases[1])
        else:
            different, place = sharing
            gates = product(hidden.index_select(0, different), of_states, biases[1]).index_select(0, place)
        i, f, g, o = _activated(product(inputs, of_inputs, biases[0], gates)).chunk(4, dim=1)
        inputs, cells = after[0, layer], after[1, layer]
        torch.mul(f, met, out=cells).addcmul_(i, g)
        _tanh(cells, inputs).mul_(o)


def _sharing(rows: Tensor) -> tuple[Tensor, Tensor] | None:
    """The different ones of ``rows`` (B,), and which of them each is. (D,), (B,); None where none occurs twice."""
    different, place = rows.unique(return_inverse=True)
    return (different, place) if len(different) < len(rows) else None


def product(rows: Tensor, weight: Tensor, bias: Tensor | None = None, plus: Tensor | None = None) -> Tensor:
    """``rows`` . ``weight`` transposed + ``bias`` + ``plus``, without gradients. (R, I), (O, I), (O,), (R, O) -> (R, O)

    On some processors oneDNN's product is twice as fast as torch's ordinary one, and it is no slower on others.
    """
    if not _ONEDNN or rows.dtype != torch.float32 or not rows.numel():
        found = nn.functional.linear(rows, weight, bias)
        return found if plus is None else found + plus
    if plus is None:
        return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")  # type: ignore[no-any-return]
    return torch.ops.mkldnn._linear_pointwise.binary(rows, plus, weight, bias, "add")  # type: ignore[no-any-return]


def _packed(steps: Tensor, times: int) -> tuple[Tensor, list[int]]:
    """Where in (B * T,) the inputs lie, time after time, the longest sessions first, and how many each time has."""
    lengths, order = steps.sort(descending=True, stable=True)
    real = torch.arange(times)[:, None] < lengths  # (T, B)
    time, place = real.nonzero(as_tuple=True)
    return order[place] * times + time, [count for count in real.sum(1).tolist() if count]


def _weights(network: nn.LSTM, layer: int) -> Weights:
    return cast(Weights, tuple(getattr(network, f"{name}_l{layer}") for name in _NAMES))


def _activated(gates: Tensor) -> Tensor:
    """The same numbers (R, 4H), each through the function of its gate; that of g as in `_tanh`."""
    of_g = gates.chunk(4, dim=1)[2]
    of_g.mul_(2)
    gates.sigmoid_()
    of_g.mul_(2).sub_(1)
    return gates


def _tanh(numbers: Tensor, out: Tensor) -> Tensor:
    """2 sigmoid(2 x) - 1, which is tanh x up to rounding at 1; torch's sigmoid takes a tenth of the time of tanh."""
    return torch.mul(numbers, 2, out=out).sigmoid_().mul_(2).sub_(1)


class _Layer(torch.autograd.Function):
    """One layer over packed inputs (M, I) -> (M, H), of which each of ``counts`` times has so many."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, counts: Sequence[int], *weights: Tensor) -> Tensor:
        of_inputs, of_states, *biases = weights
        gates = product(inputs, of_inputs, biases[0] + biases[1])  # (M, 4H)
        hidden, cell, squashed = (gates.new_empty(len(inputs), of_states.shape[1]) for _ in range(3))
        before: slice | None = None
        for now in _slices(counts):
            rows = gates[now]
            if before is not None:
                before = slice(before.start, before.start + len(rows))
                rows.add_(product(hidden[before], of_states))
            i, f, g, o = _activated(rows).chunk(4, dim=1)
            torch.mul(i, g, out=cell[now])
            if before is not None:
                cell[now].addcmul_(f, cell[before])
            _tanh(cell[now], squashed[now])
            torch.mul(o, squashed[now], out=hidden[now])
            before = now
        ctx.counts = counts
        ctx.save_for_backward(inputs, gates, hidden, cell, squashed, of_inputs, of_states)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, gates, hidden, cell, squashed, of_inputs, of_states = ctx.saved_tensors
        first, before = ctx.counts[0], _before(ctx.counts)
        slopes, to_cell = _slopes(gates, cell, squashed, before)
        forgets = gates.chunk(4, dim=1)[1]
        of_gates = _back(grads[0], (slopes, to_cell, forgets), of_states, _slices(ctx.counts))  # (M, 4H)
        turned = of_gates.t().contiguous()
        later = turned[:, first:].contiguous()
        return (
            product(of_gates, of_inputs.t()) if ctx.needs_input_grad[0] else None,
            None,
            product(turned, inputs.t().contiguous()),
            product(later, hidden[before].t().contiguous()) if len(before) else torch.zeros_like(of_states),
            bias := of_gates.sum(0),
            bias.clone(),
        )


def _slices(counts: Sequence[int]) -> list[slice]:
    """Where the inputs of each time lie."""
    ends = torch.tensor([0, *counts]).cumsum(0).tolist()
    return [slice(begin, end) for begin, end in pairwise(ends)]


def _before(counts: Sequence[int]) -> Tensor:
    """Where the state lies that each input after the first time of its session met."""
    times = zip(_slices(counts), counts[1:], strict=False)
    return torch.cat([torch.arange(now.start, now.start + following) for now, following in times] or [torch.arange(0)])


def _slopes(gates: Tensor, cell: Tensor, squashed: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """How the cell (o: the output) moves with what enters each gate, and the output with the cell. (M, 4H), (M, H)"""
    i, f, g, o = gates.chunk(4, dim=1)
    slopes = torch.empty_like(gates)
    of_i, of_f, of_g, of_o = slopes.chunk(4, dim=1)
    met = torch.zeros_like(cell)
    met[len(met) - len(before) :] = cell[before]
    sigmoid, tanh = torch.ops.aten.sigmoid_backward.grad_input, torch.ops.aten.tanh_backward.grad_input
    sigmoid(g, i, grad_input=of_i)
    sigmoid(met, f, grad_input=of_f)
    tanh(i, g, grad_input=of_g)
    sigmoid(squashed, o, grad_input=of_o)
    return slopes, torch.ops.aten.tanh_backward(o, squashed)


def _back(of_hidden: Tensor, moves: tuple[Tensor, ...], of_states: Tensor, times: Sequence[slice]) -> Tensor:
    """Gradients of what enters the gates (M, 4H), from the last time to the first, given those of outputs (M, H).

    ``moves``: what `_slopes` gives, and how the next cell moves with a cell (M, H).
    """
    slopes, to_cell, forgets = moves
    found = torch.empty_like(slopes)
    to_hidden: Tensor | None = None  # from the time after, for as many sessions as it has
    to_next: Tensor | None = None
    for now in reversed(times):
        hidden = of_hidden[now]
        if to_hidden is not None:
            hidden = hidden.clone()
            hidden[: len(to_hidden)] += to_hidden
        cell = hidden * to_cell[now]
        if to_next is not None:
            cell[: len(to_next)] += to_next
        rows, slope = (x[now].unflatten(1, (4, -1)) for x in (found, slopes))
        torch.mul(slope[:, :3], cell[:, None], out=rows[:, :3])
        torch.mul(slope[:, 3], hidden, out=rows[:, 3])
        if now.start:
            to_hidden = product(found[now], of_states.t())
            to_next = cell * forgets[now]
    return found
