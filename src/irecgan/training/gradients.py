"""Ways to the gradient of a loss: of this process alone, or of several that learn together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from irecgan.training.shared_memory import SharedMemory

Closure = Callable[[], Tensor]
"""A loss, a scalar, computed when it is called."""
Gather = Callable[[Sequence[Tensor]], list[Tensor]]


class Gradients(Protocol):
    """Sets the gradients of a model, which were cleared before."""

    def __call__(self, loss: Closure) -> Tensor:
        """To those of the sum of the losses of all processes; gives the loss of this one."""
        ...


def own_gradients(loss: Closure) -> Tensor:
    """Those of this process alone."""
    value = loss()
    value.backward()
    return value


class SharedGradients:
    """Sums of the gradients of processes on one machine, in memory that they share.

    Which of the ``parameters`` a loss reached is summed with them: where it is none, there is no gradient in any
    process.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], memory: SharedMemory) -> None:
        self._parameters = parameters
        self._sizes = [parameter.numel() for parameter in parameters]
        self._memory = memory
        self._total = torch.zeros(numbers(parameters))

    def __call__(self, loss: Closure) -> Tensor:
        """As `Gradients`."""
        value = own_gradients(loss)
        reached = torch.tensor([float(parameter.grad is not None) for parameter in self._parameters])
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        self._memory.sum([*found, reached], self._total)
        *sums, anywhere = self._total.split([*self._sizes, len(reached)])
        for parameter, total, known in zip(self._parameters, sums, anywhere.tolist(), strict=True):
            parameter.grad = total.view_as(parameter) if known else None
        return value


def summed_whole(model: nn.Module, tables: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """The parameters that learn and are none of the ``tables``, whose gradients are sparse."""
    by_rows = {id(table) for table in tables}
    return [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in by_rows]


def numbers(parameters: Sequence[nn.Parameter]) -> int:
    """How many numbers `SharedGradients` of ``parameters`` sums at once."""
    return sum(parameter.numel() for parameter in parameters) + len(parameters)


class SentGradients:
    """Sums of the gradients of processes anywhere, by DistributedDataParallel over gloo or nccl.

    It looks for parameters that a loss did not reach, which also keeps its buckets of gradients as they are: sums are
    then rounded alike whether or not a training was interrupted. Of ``tables`` the gradients stay this process's.
    """

    def __init__(self, model: nn.Module, tables: Sequence[nn.Parameter], device: torch.device, processes: int) -> None:
        self._processes = processes
        self._tables = tables
        with _at_rest(tables):
            self._objective = DistributedDataParallel(
                Objective(model).to(device), find_unused_parameters=True, gradient_as_bucket_view=True
            )

    def __call__(self, loss: Closure) -> Tensor:
        """As `Gradients`."""
        value: Tensor = self._objective(loss)
        (self._processes * value).backward()  # DDP takes the mean
        for table in self._tables:
            if table.grad is not None:
                table.grad = table.grad / self._processes
        return value


@contextmanager
def _at_rest(tables: Sequence[nn.Parameter]) -> Iterator[None]:
    """Have ``tables`` not learn while DDP looks at what does."""
    for table in tables:
        table.requires_grad_(False)
    try:
        yield
    finally:
        for table in tables:
            table.requires_grad_(True)


class RowGradients:
    """Sums of gradients of which those of ``tables`` hold no more than the rows that were read, and are sent so.

    ``whole`` gets all others; ``gather`` gives the numbers of all processes, one after the other, of each tensor. A row
    of zeros is left out: a process that has nothing to learn reads some without any weight.
    """

    def __init__(self, whole: Gradients, tables: Sequence[nn.Parameter], gather: Gather) -> None:
        self._whole = whole
        self._tables = tables
        self._gather = gather

    def __call__(self, loss: Closure) -> Tensor:
        """As `Gradients`."""
        value = self._whole(loss)
        parts = [part for table in self._tables for part in _rows(table)]
        gathered = self._gather(parts)
        for table, row, values in zip(self._tables, gathered[::2], gathered[1::2], strict=True):
            whole = (row[None], values.view(-1, *table.shape[1:]), table.shape)
            sparse = torch.sparse_coo_tensor(*whole, device=table.device, check_invariants=False)
            table.grad = sparse.coalesce() if len(row) else None
        return value


def _rows(table: nn.Parameter) -> tuple[Tensor, Tensor]:
    """The rows (R,) of a table that its gradient is not 0 in, and what it is there, flat."""
    if table.grad is None:
        return torch.empty(0, dtype=torch.int64, device=table.device), table.new_empty(0)
    gradient = table.grad.coalesce()
    row, values = gradient.indices()[0], gradient.values()
    counts = values.flatten(1).any(1) if values.ndim > 1 else values != 0
    return row[counts], values[counts].flatten()


class Objective(nn.Module):
    """A loss as the forward pass of the model that it teaches: DDP has to see a step from its beginning."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.unread = nn.Parameter(torch.zeros(1))  # DDP warns where it is to look for such parameters and finds none

    def forward(self, loss: Closure) -> Tensor:
        """The loss."""
        return loss()
