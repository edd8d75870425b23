"""A model with its optimiser: the same for U, A and D."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch, Sessions, SessionSource
from irecgan.data.order import in_order
from irecgan.models.recurrent import rounded_products
from irecgan.tensors import below
from irecgan.training.adam import Adam
from irecgan.training.distributed import ALONE, Processes
from irecgan.training.journal import Journal

Loss = Callable[[SessionBatch], Tensor]

_MEASURED = 256
"""Sessions in a batch of which a loss is only measured."""


class Learner:
    """One model that learns: Adam with the norm of its gradient clipped, if ``clip`` is given.

    ``tables``: parameters with sparse gradients, see `irecgan.models.outputs.learn_by_rows`. ``apart``: parameters
    that learn at another rate, and that rate. ``processes`` learn together: each from its share of a batch, and all
    move by the gradient of the whole. ``rounds``: by products of `rounded_products`.
    """

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        clip: float | None,
        tables: Sequence[nn.Parameter] = (),
        processes: Processes = ALONE,
        *,
        apart: tuple[Sequence[nn.Parameter], float] | None = None,
        rounds: bool = False,
    ) -> None:
        self.model = model
        self.processes = processes
        self._gradients = processes.gradients(model, tables)
        self.clip = clip
        self.rounds = rounds
        special, rate = apart or ((), learning_rate)
        elsewhere = {id(parameter) for parameter in (*tables, *special)}
        dense = [parameter for parameter in model.parameters() if id(parameter) not in elsewhere]
        self._optimisers = {"adam": Adam([(dense, learning_rate), (special, rate)])}
        if tables:
            self._optimisers["rows"] = Adam([(tables, learning_rate)], by_rows=True)

    def learn_at(self, rate: float) -> None:
        """Go on at the learning rate ``rate``, all parameters alike."""
        for optimiser in self._optimisers.values():
            optimiser.learn_at(rate)

    def step(self, loss: Callable[[], Tensor]) -> Tensor:
        """One step of the optimiser down ``loss``; gives its value, in double precision.

        With several processes it is the sum over all of their losses that goes down, and the value is this one's.
        """
        self.model.zero_grad(set_to_none=True)
        with rounded_products(self.model) if self.rounds else nullcontext():
            value = self._gradients(loss)
        if "rows" in self._optimisers:
            _coalesce(self.model)
        if self.clip is not None:
            self._clip(self.clip)
        for optimiser in self._optimisers.values():
            optimiser.step()
        return value.detach().double()

    def epoch(
        self,
        loss: Loss,
        sessions: SessionSource,
        batch_size: int,
        generator: torch.Generator,
        journal: Journal | None = None,
    ) -> float:
        """One pass over ``sessions`` in shuffled batches, or what is left by ``journal``. The mean loss per session.

        ``batch_size`` sessions go to each process.
        """
        processes, lengths = self.processes, sessions.steps

        def learn(rows: Tensor) -> Tensor:
            mine, weight = processes.share(rows, lengths[rows])
            batch = sessions.batch(mine).to(processes.device)
            return self.step(lambda: weight * loss(batch)) * len(rows)

        batches = sessions.shuffled(batch_size * processes.size, generator)
        return (journal or Journal(None, processes)).epoch(batches, learn) / len(sessions)

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser state as named tensors, which go on changing as the model learns."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        moments = ((f"{kind}.{k}", v) for kind, one in self._optimisers.items() for k, v in one.state().items())
        return tensors | dict(moments)

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.model.load_state_dict(below(tensors, "model."))
        for kind, optimiser in self._optimisers.items():
            optimiser.load_state(below(tensors, f"{kind}."))

    def _clip(self, clip: float) -> None:
        """Scale the gradient to a norm of at most ``clip``."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        values = [gradient.values() if gradient.is_sparse else gradient for gradient in gradients]
        norm = torch.stack([value.norm() for value in values]).norm()
        scale = (clip / (norm + 1e-6)).clamp(max=1)
        if scale.device.type == "cpu" and scale == 1:  # a GPU would have to be waited for
            return
        torch._foreach_mul_(values, scale)


def _coalesce(model: nn.Module) -> None:
    """Have every row once in a sparse gradient."""
    for parameter in model.parameters():
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()


class Fitted:
    """One model that learns otherwise than by gradients, as far as a checkpoint is concerned."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def state(self) -> dict[str, Tensor]:
        """What the model is made of, as named tensors."""
        return {f"model.{k}": v for k, v in self.model.state_dict().items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.model.load_state_dict(below(tensors, "model."))


@torch.no_grad()
def mean_loss(loss: Loss, sessions: Sessions, processes: Processes = ALONE) -> float:
    """The mean loss per session, without learning; every process takes some of the batches."""
    total = torch.zeros((), dtype=torch.float64, device=processes.device)
    for rows in in_order(sessions.steps, _MEASURED)[processes.rank :: processes.size]:
        total += loss(sessions.batch(rows).to(processes.device)).double() * len(rows)
    return float(processes.sum(total)) / len(sessions)
