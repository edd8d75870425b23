"""Ways to the gradient of a loss: of this process alone, or of several that learn together."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from irecgan.training.shared_memory import SharedMemory

Closure = Callable[[], Tensor]
"""A loss, a scalar, computed when it is called."""


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

    Which parameters a loss reached is summed with them: where it is none, there is no gradient in any process.
    """

    def __init__(self, model: nn.Module, memory: SharedMemory) -> None:
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._sizes = [parameter.numel() for parameter in self._parameters]
        self._memory = memory
        self._total = torch.zeros(numbers(model))

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


def numbers(model: nn.Module) -> int:
    """How many numbers `SharedGradients` of ``model`` sums at once."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return sum(parameter.numel() for parameter in parameters) + len(parameters)


class SentGradients:
    """Sums of the gradients of processes anywhere, by DistributedDataParallel over gloo or nccl.

    It looks for parameters that a loss did not reach, which also keeps its buckets of gradients as they are: sums are
    then rounded alike whether or not a training was interrupted.
    """

    def __init__(self, model: nn.Module, device: torch.device, processes: int) -> None:
        self._processes = processes
        self._objective = DistributedDataParallel(
            Objective(model).to(device), find_unused_parameters=True, gradient_as_bucket_view=True
        )

    def __call__(self, loss: Closure) -> Tensor:
        """As `Gradients`."""
        value: Tensor = self._objective(loss)
        (self._processes * value).backward()  # DDP takes the mean
        return value


class Objective(nn.Module):
    """A loss as the forward pass of the model that it teaches: DDP has to see a step from its beginning."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.unread = nn.Parameter(torch.zeros(1))  # DDP warns where it is to look for such parameters and finds none

    def forward(self, loss: Closure) -> Tensor:
        """The loss."""
        return loss()
