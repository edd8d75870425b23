"""The arithmetic floor: floating-point operations counted from the layer sizes, and the rate of matrix products.

Counted are the products of recurrent and output layers on real steps alone, three times for learning (forward, and
gradients for inputs and weights). Left out are all else: look-ups, activations, draws, the optimiser.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn

from irecgan.models.recurrent import Size

LEARNING = 3
"""Products of a step that learns, in products of a step that does not."""


@dataclass(frozen=True)
class Operations:
    """Floating-point operations for one step of one session."""

    encoder: int  # U's or A's recurrent layers, a click
    judge: int  # D's, a click
    agent: int  # A's output layer, a slate
    user: int  # U's heads, a slate
    verdict: int  # D's, a session

    @classmethod
    def of(cls, size: Size, slate_size: int) -> "Operations":
        """Those of the three networks."""
        units, embedding = size.units, size.embedding
        return cls(
            encoder=recurrent(embedding, size),
            judge=recurrent(3 * embedding + 1, size),
            agent=2 * units * size.items,
            user=2 * (2 * units * embedding + units) + 4 * embedding * slate_size,
            verdict=2 * (units + embedding + 1) * embedding + 2 * embedding,
        )


def recurrent(inputs: int, size: Size) -> int:
    """Operations of the recurrent layers for one input: a multiplication and an addition for each weight.

    >>> recurrent(2, Size(items=5, units=3, layers=2))  # 2 * 12 * (2 + 3) + 2 * 12 * (3 + 3)
    264
    """
    gates = {"lstm": 4, "gru": 3}[size.cell] * size.units
    widths = [inputs, *[size.units] * (size.layers - 1)]
    return sum(2 * gates * (width + size.units) for width in widths)


def products(rows: int, size: Size) -> float:
    """Operations a second of the fastest matrix product of a recurrent step of ``rows`` rows."""
    left, right = torch.randn(rows, 2 * size.units), torch.randn(4 * size.units, 2 * size.units)
    operations = 2 * rows * right.numel()
    return max(operations / _median(product) for product in _engines(left, right))


def plain_products(rows: int, size: Size) -> float:
    """The same by torch's ordinary product alone."""
    left, right = torch.randn(rows, 2 * size.units), torch.randn(4 * size.units, 2 * size.units)
    return 2 * rows * right.numel() / _median(lambda: nn.functional.linear(left, right))


def _engines(left: torch.Tensor, right: torch.Tensor) -> list[Callable[[], object]]:
    """The ways to a product: torch's own, and oneDNN's, which on some processors is twice as fast."""
    ways: list[Callable[[], object]] = [lambda: nn.functional.linear(left, right)]
    if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""))
    return ways


def _median(work: Callable[[], object], seconds: float = 0.15) -> float:
    """Seconds of a call, the median of many."""
    work()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return median(times)
