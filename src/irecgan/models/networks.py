"""The models by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from irecgan.errors import UserError, out_of_memory
from irecgan.models.agent import Agent, Head
from irecgan.models.content import Inputs
from irecgan.models.discriminator import Discriminator
from irecgan.models.latent import LatentUserModel, one_state, with_new_items
from irecgan.models.lists import ListUserModel
from irecgan.models.outputs import TiedOutput, UntiedOutput
from irecgan.models.recurrent import Size
from irecgan.models.rewards import RewardLaw
from irecgan.models.terms import Terms
from irecgan.models.trees import Trees
from irecgan.models.user import RecurrentUserModel, Stop

ModelName = Literal["user", "agent", "discriminator", "latent", "linear", "boosting"]
NETWORKS: tuple[ModelName, ...] = get_args(ModelName)
Deployed = Literal["user", "agent", "latent", "linear", "boosting", "popularity"]
"""What may rank the items of a run: a network, or the counts that every run keeps."""
FITTED: tuple[ModelName, ...] = ("latent", "linear", "boosting")
"""Those without weights that gradients move."""
Network = RecurrentUserModel | Agent | Discriminator | LatentUserModel | ListUserModel


def blank_network(
    name: ModelName,
    size: Size,
    stop: Stop,
    reward_law: RewardLaw,
    heads: Sequence[Head] = (),
    *,
    inputs: Inputs | None = None,
    device: torch.device | str = "cpu",
) -> Network:
    """The network called ``name``; its weights are still to be set, and on the device ``meta`` take no memory.

    ``heads``: of the agent. ``inputs``: what is read besides ids. Raises UserError when it does not fit into memory.
    """
    try:
        with torch.device(device), _Undrawn():
            return _constructed(name, size, stop, reward_law, heads=heads, inputs=inputs)
    except RuntimeError as error:
        if out_of_memory(error) is None:
            raise
        raise UserError(f"the {name} network does not fit into memory; found {size}") from None


def grown(
    name: ModelName, network: Network, size: Size, stop: Stop, reward_law: RewardLaw, *, inputs: Inputs
) -> Network:
    """``network`` for a catalogue of ``size.items``, of which the first are its own; without heads.

    ``inputs`` are of all of them. Of the ids of the others nothing is learned: all is 0, so that they are what their
    columns say.
    """
    new = size.items - network.catalogue_size
    if isinstance(network, LatentUserModel):
        return with_new_items(network, new)
    larger = blank_network(name, size, stop, reward_law, inputs=inputs)
    weights = {key: value for key, value in network.state_dict().items() if not key.startswith("heads.")}
    larger.load_state_dict(_with_new_items(weights, network, new))
    return larger


def readers(networks: Iterable[Network]) -> list[Terms | ListUserModel]:
    """What of ``networks`` has to be told what a log says of its items, by a method ``attach``."""
    found: list[Terms | ListUserModel] = [network for network in networks if isinstance(network, ListUserModel)]
    users = (network for network in networks if isinstance(network, RecurrentUserModel))
    return [*found, *(user.terms for user in users if user.terms is not None)]


class _Undrawn(TorchFunctionMode):
    """Has constructors draw no weights: they would take them from the global generator, for others to replace them.

    Nor does the device ``meta``, where torch loads its compiler to draw from a normal law.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def _with_new_items(weights: Mapping[str, Tensor], network: Network, new: int) -> dict[str, Tensor]:
    """The ``weights`` of ``network`` for a catalogue with ``new`` items more after its own."""
    by_item: dict[str, nn.Module] = {}
    for prefix, part in network.named_modules():
        if isinstance(part, nn.Embedding | UntiedOutput | TiedOutput):
            by_item |= {f"{prefix}.{name}": part for name, _ in part.named_parameters(recurse=False)}
    return {key: _longer(value, by_item[key], new) if key in by_item else value for key, value in weights.items()}


def _longer(table: Tensor, part: nn.Module, new: int) -> Tensor:
    """``table`` with ``new`` rows of zeros after its items; in embeddings the last row is that of no item."""
    rows, items = table.new_zeros(new, *table.shape[1:]), len(table) - isinstance(part, nn.Embedding)
    return torch.cat([table[:items], rows, table[items:]])


def _constructed(
    name: ModelName, size: Size, stop: Stop, reward_law: RewardLaw, *, heads: Sequence[Head], inputs: Inputs | None
) -> Network:
    match name:
        case "user":
            return RecurrentUserModel(size, stop, reward_law, inputs)
        case "agent":
            return Agent(size, heads, inputs)
        case "discriminator":
            return Discriminator(size, reward_law, inputs)
        case "latent":
            return LatentUserModel(one_state(size.items), reward_law)  # its sizes are those of what it loads
        case "linear":
            return ListUserModel(size.items, Terms(size.terms), reward_law)
        case "boosting":
            return ListUserModel(size.items, Trees(size.terms), reward_law)  # likewise
