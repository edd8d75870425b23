"""The models by name."""

from collections.abc import Sequence
from typing import Literal

import torch

from irecgan.errors import UserError
from irecgan.models.agent import Agent, Head
from irecgan.models.discriminator import Discriminator
from irecgan.models.latent import LatentUserModel, one_state
from irecgan.models.recurrent import Size
from irecgan.models.rewards import RewardLaw
from irecgan.models.user import RecurrentUserModel, Stop

ModelName = Literal["user", "agent", "discriminator", "latent"]
NETWORKS: tuple[ModelName, ...] = ("user", "agent", "discriminator", "latent")
FITTED: tuple[ModelName, ...] = ("latent",)
"""Those without weights that gradients move."""
Network = RecurrentUserModel | Agent | Discriminator | LatentUserModel


def blank_network(
    name: ModelName,
    size: Size,
    stop: Stop,
    reward_law: RewardLaw,
    heads: Sequence[Head] = (),
    *,
    device: torch.device | str = "cpu",
) -> Network:
    """The network called ``name``; its weights are still to be set, and on the device ``meta`` take no memory.

    ``heads``: of the agent. Raises UserError when it does not fit into memory.
    """
    try:
        # Constructors draw weights from torch's global generator: on the device meta they have none to draw.
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network = _constructed(name, size, stop, reward_law, heads)
        network = network.to_empty(device=device)
        if isinstance(network, LatentUserModel) and str(device) != "meta":
            network.set_tables(one_state(size.items))  # which are no weights to be drawn
        return network
    except RuntimeError:
        raise UserError(f"the {name} network does not fit into memory; found {size}") from None


def _constructed(name: ModelName, size: Size, stop: Stop, reward_law: RewardLaw, heads: Sequence[Head]) -> Network:
    match name:
        case "user":
            return RecurrentUserModel(size, stop, reward_law)
        case "agent":
            return Agent(size, heads)
        case "discriminator":
            return Discriminator(size, reward_law)
        case "latent":
            return LatentUserModel(one_state(size.items), reward_law)  # its sizes are those of what it loads
