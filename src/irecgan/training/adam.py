"""Adam, on whole parameters or on the rows of a table that a step read.

The arithmetic is torch's; what holds it is no ``torch.optim.Optimizer``, which loads torch's compiler when one is made:
more than a second, and 70 MB, of every training.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from irecgan.tensors import below

Moments = dict[str, Tensor]  # step (), exp_avg and exp_avg_sq of a parameter's shape
Group = tuple[Sequence[nn.Parameter], float]

BETA, BETA_SQ, EPS = 0.9, 0.999, 1e-8


class Adam:
    """Adam (Kingma and Ba, 2015) of groups of parameters, each with a learning rate of its own.

    ``by_rows``: gradients are sparse and coalesced, and a row's moments and weights move only in the steps that read
    it: what torch's ``SparseAdam`` does ("lazy Adam"), with a state of tensors alone. Where every row is read in
    every step it is Adam.
    """

    def __init__(self, groups: Iterable[Group], *, by_rows: bool = False) -> None:
        self.groups = list(groups)
        self.by_rows = by_rows
        self._moments: dict[nn.Parameter, Moments] = {}

    @torch.no_grad()
    def step(self) -> None:
        """One step down the gradients; a parameter without one stays."""
        move = _move_rows if self.by_rows else _move_whole
        for parameters, rate in self.groups:
            read = [parameter for parameter in parameters if parameter.grad is not None]
            move(read, [self._moments_of(parameter) for parameter in read], rate)

    def learn_at(self, rate: float) -> None:
        """Go on at the learning rate ``rate``, all groups alike."""
        self.groups = [(parameters, rate) for parameters, _ in self.groups]

    def state(self) -> dict[str, Tensor]:
        """The moments of every parameter that was moved, by its number, as they go on changing."""
        moments = ((i, self._moments.get(parameter, {})) for i, parameter in enumerate(self._parameters()))
        return {f"{i}.{key}": value for i, state in moments for key, value in state.items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        for i, parameter in enumerate(self._parameters()):
            for key, value in below(tensors, f"{i}.").items():
                self._moments_of(parameter)[key].copy_(value)

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for parameters, _ in self.groups for parameter in parameters]

    def _moments_of(self, parameter: nn.Parameter) -> Moments:
        if parameter not in self._moments:
            device = "cpu" if self.by_rows else parameter.device  # a step by rows reads the count
            self._moments[parameter] = {
                "step": torch.zeros((), device=device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self._moments[parameter]


def _move_whole(parameters: Sequence[nn.Parameter], moments: Sequence[Moments], rate: float) -> None:
    adam(
        list(parameters),
        [_gradient(parameter) for parameter in parameters],
        [state["exp_avg"] for state in moments],
        [state["exp_avg_sq"] for state in moments],
        [],
        [state["step"] for state in moments],
        fused=True,
        amsgrad=False,
        beta1=BETA,
        beta2=BETA_SQ,
        lr=rate,
        weight_decay=0.0,
        eps=EPS,
        maximize=False,
    )


def _move_rows(parameters: Sequence[nn.Parameter], moments: Sequence[Moments], rate: float) -> None:
    for parameter, state in zip(parameters, moments, strict=True):
        gradient = _gradient(parameter)
        row, value = gradient.indices()[0], gradient.values()
        state["step"] += 1
        step = float(state["step"])
        mean = state["exp_avg"][row].lerp_(value, 1 - BETA)
        square = state["exp_avg_sq"][row].mul_(BETA_SQ).addcmul_(value, value, value=1 - BETA_SQ)
        state["exp_avg"].index_copy_(0, row, mean)
        state["exp_avg_sq"].index_copy_(0, row, square)
        spread = square.div_(1 - BETA_SQ**step).sqrt_().add_(EPS)
        parameter.index_add_(0, row, mean.div_(spread), alpha=-rate / (1 - BETA**step))


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
