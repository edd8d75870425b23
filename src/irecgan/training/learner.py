"""A model with its optimiser: the same for U, A and D."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch, Sessions, SessionSource, in_order
from irecgan.training.journal import Journal

Loss = Callable[[SessionBatch], Tensor]


class Learner:
    """One model that learns: Adam with the norm of its gradient clipped, if ``clip`` is given."""

    def __init__(self, model: nn.Module, learning_rate: float, clip: float | None) -> None:
        self.model = model
        self.clip = clip
        self.optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)

    def step(self, loss: Tensor) -> float:
        """One step of the optimiser down ``loss``; gives its value."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimiser.step()
        return float(loss.detach())

    def epoch(
        self,
        loss: Loss,
        sessions: SessionSource,
        batch_size: int,
        generator: torch.Generator,
        journal: Journal | None = None,
    ) -> float:
        """One pass over ``sessions`` in shuffled batches, or what is left by ``journal``. The mean loss per session."""

        def learn(rows: Tensor) -> float:
            return self.step(loss(sessions.batch(rows))) * len(rows)

        return (journal or Journal()).epoch(sessions.shuffled(batch_size, generator), learn) / len(sessions)

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser state as named tensors."""
        tensors = {f"model.{k}": v.clone() for k, v in self.model.state_dict().items()}
        for i, parameter in enumerate(self._parameters()):
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"adam.{i}.{key}"] = value.clone()
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.model.load_state_dict(_below(tensors, "model."))
        for i, parameter in enumerate(self._parameters()):
            state = _below(tensors, f"adam.{i}.")
            if state:
                self.optimiser.state[parameter] = {k: v.clone() for k, v in state.items()}

    def _parameters(self) -> Sequence[nn.Parameter]:
        parameters: list[nn.Parameter] = self.optimiser.param_groups[0]["params"]
        return parameters


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@torch.no_grad()
def mean_loss(loss: Loss, sessions: Sessions, batch_size: int = 256) -> float:
    """The mean loss per session, without learning."""
    batches = in_order(sessions.steps, batch_size)
    total = sum(float(loss(sessions.batch(rows))) * len(rows) for rows in batches)
    return total / len(sessions)
