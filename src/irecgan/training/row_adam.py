"""Adam for tables of which a step reads few rows."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class RowAdam(torch.optim.Optimizer):
    """Adam on sparse gradients: a row's moments and weights move only in the steps that read it.

    What torch's own ``SparseAdam`` does ("lazy Adam"), with a state of tensors alone. Where every row is read
    in every step it is Adam. Gradients must be coalesced.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One step on every table that was read."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, self._moments(parameter), group)

    def _moments(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state

    def _move(self, parameter: nn.Parameter, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        gradient, (beta, beta_sq) = parameter.grad, group["betas"]
        assert gradient is not None
        row, value = gradient.indices()[0], gradient.values()
        state["step"] += 1
        step = float(state["step"])
        mean = state["exp_avg"][row].lerp_(value, 1 - beta)
        square = state["exp_avg_sq"][row].mul_(beta_sq).addcmul_(value, value, value=1 - beta_sq)
        state["exp_avg"].index_copy_(0, row, mean)
        state["exp_avg_sq"].index_copy_(0, row, square)
        spread = square.div_(1 - beta_sq**step).sqrt_().add_(group["eps"])
        parameter.index_add_(0, row, mean.div_(spread), alpha=-group["lr"] / (1 - beta**step))
