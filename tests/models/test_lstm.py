"""LSTM layers on packed inputs are torch's own, and those of real inputs alone."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from irecgan.models import lstm
from irecgan.models.recurrent import ClickEncoder, Recurrent, RecurrentState, Size, initialise

UNITS, INPUTS, TIMES = 8, 5, 4


@pytest.fixture(autouse=True)
def narrow_layers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm, "_LEAST_UNITS", 1)


def network(dtype: torch.dtype = torch.float32) -> nn.LSTM:
    torch.manual_seed(0)
    return nn.LSTM(INPUTS, UNITS, 2, batch_first=True, dtype=dtype)


def gradients(network: nn.LSTM, outputs: Tensor, weight: Tensor, inputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad((outputs * weight).sum(), [inputs, *network.parameters()]))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, TIMES), min_size=1, max_size=6))
def test_outputs_and_gradients_are_those_of_torch(steps: list[int]) -> None:
    net, lengths = network(torch.float64), torch.tensor(steps)
    inputs = torch.randn(len(steps), TIMES, INPUTS, dtype=torch.float64, requires_grad=True)
    real = torch.arange(TIMES) < lengths[:, None]
    weight = torch.randn(len(steps), TIMES, UNITS, dtype=torch.float64) * real[..., None]
    expected, found = net(inputs)[0], lstm.run(net, inputs, lengths)
    torch.testing.assert_close(found[real], expected[real])
    for a, b in zip(gradients(net, found, weight, inputs), gradients(net, expected, weight, inputs), strict=True):
        torch.testing.assert_close(a, b)


def test_single_precision_differs_by_rounding_alone() -> None:
    net, inputs = network(), torch.randn(16, TIMES, INPUTS, requires_grad=True)
    weight = torch.randn(16, TIMES, UNITS)
    expected, found = net(inputs)[0], lstm.run(net, inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    for a, b in zip(gradients(net, found, weight, inputs), gradients(net, expected, weight, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_what_lies_beyond_a_session_is_not_read() -> None:
    net, inputs, steps = network(), torch.randn(3, TIMES, INPUTS), torch.tensor([4, 1, 2])
    other = torch.where((torch.arange(TIMES) < steps[:, None])[..., None], inputs, torch.nan)
    assert torch.equal(lstm.run(net, inputs, steps), lstm.run(net, other, steps))
    assert not lstm.run(net, other, steps)[1, 1:].any()


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 2, 0, 2, 0], [1]])
def test_copies_step_as_sessions_of_their_own_do(rows: list[int]) -> None:
    recurrent = Recurrent(INPUTS, Size(items=3, units=UNITS))
    state = RecurrentState(torch.randn(2, 3, UNITS), torch.randn(2, 3, UNITS)).take(torch.tensor(rows))
    inputs = torch.randn(len(rows), INPUTS)
    _, (hidden, cell) = recurrent.network(inputs[:, None], (state.own().hidden, state.own().cell))
    with torch.no_grad():
        found = recurrent.step(inputs, state)
    assert len(state) == len(found) == len(rows)
    torch.testing.assert_close(state.top, state.own().top)
    torch.testing.assert_close(found.hidden, hidden.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.cell, cell.detach(), rtol=1e-5, atol=1e-6)


def test_copies_of_copies() -> None:
    hidden = torch.arange(6.0).reshape(1, 3, 2)
    state = RecurrentState(hidden, None).take(torch.tensor([2, 0, 2])).take(torch.tensor([1, 2]))
    assert state.own().hidden.tolist() == [[[0.0, 1.0], [4.0, 5.0]]]
    assert state.join([state]).hidden[0].tolist() == [[0.0, 1.0], [4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]


def test_tanh_by_the_sigmoid_is_off_by_rounding_at_one() -> None:
    numbers = torch.cat([torch.linspace(-20, 20, 4_001), torch.tensor([0.0, 1e-8, -torch.inf, torch.inf])])
    torch.testing.assert_close(lstm._tanh(numbers, numbers.clone()), numbers.tanh(), rtol=0, atol=3e-7)


@pytest.mark.parametrize("rows", [None, [4, 0, 0, 3, 3]])
def test_blocks_of_sessions_step_as_all_at_once_do(rows: list[int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    net, inputs, states = network(), torch.randn(5, INPUTS), torch.randn(2, 2, 5, UNITS)
    chosen = None if rows is None else torch.tensor(rows)
    with torch.no_grad():
        whole = lstm.step(net, inputs, states[0], states[1], chosen)
        monkeypatch.setattr(lstm, "_BLOCK", 2)
        for found, expected in zip(lstm.step(net, inputs, states[0], states[1], chosen), whole, strict=True):
            torch.testing.assert_close(found, expected)


def test_sessions_with_the_same_clicks_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = ClickEncoder(Size(items=3, embedding=INPUTS, units=UNITS))
    initialise(encoder, torch.Generator().manual_seed(0))
    computed, step = [], lstm.step

    def counted(network: nn.LSTM, inputs: Tensor, *states: Any) -> tuple[Tensor, Tensor]:
        computed.append(len(inputs))
        return step(network, inputs, *states)

    monkeypatch.setattr(lstm, "step", counted)
    clicks = torch.tensor([[0, 1, 2], [0, 1, 2], [3, 1, 2], [0, 1, 0], [0, 2, 0]])  # 3: an unknown item
    with torch.no_grad():
        state, read = encoder.start(5), [encoder.start(5).read(nn.Identity())]
        for click in clicks.t():
            state = encoder.advance(state, click)
            read.append(state.read(nn.Identity()))
            assert len(state) == 5
            torch.testing.assert_close(read[-1], state.top)
        assert computed == [1, 1, 2, 3, 4]
        whole = encoder(torch.nn.functional.pad(clicks, (0, 1)))
    torch.testing.assert_close(torch.stack(read, dim=1), whole)
