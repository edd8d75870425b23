"""Orders of the lists that a world presents."""

from typing import Any

import torch
from torch import Tensor

from irecgan.policies.interface import Policy
from irecgan.policies.logging import Memoryless, NoMemory, observed
from irecgan.policies.ranking import ordered
from irecgan.worlds.interface import Scene
from irecgan.worlds.shop import ShopWorld


class PresentedOrder(Memoryless):
    """Shows every list in the order in which the world presents it: that of its production ranker."""

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The candidates. (B, C)"""
        return offered(scene)


class RandomOrder(Memoryless):
    """Shows every list in random order. ``catalogue_size``: the index n that fills up shorter lists."""

    def __init__(self, catalogue_size: int) -> None:
        self.catalogue_size = catalogue_size

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The candidates, shuffled. (B, C)"""
        candidates = offered(scene)
        noise = torch.rand(candidates.shape, generator=generator)
        return candidates.gather(1, noise.masked_fill(candidates == self.catalogue_size, 2.0).argsort(1))


class AppealOrder(Memoryless):
    """Shows every list by falling appeal to the true taste. Observes the state: the oracle of a shop.

    No other order of a list has more expected clicks, or more expected purchases, in that step (see
    ``ShopWorld.chances``). What a click does to later tastes and queries it leaves out of account.
    """

    def __init__(self, world: ShopWorld) -> None:
        self.world = world

    def propose(self, state: NoMemory, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The candidates, best first. (B, C)"""
        candidates = offered(scene)
        return ordered(self.world.appeal(observed(scene), candidates), candidates)


def presented_orders(catalogue_size: int) -> dict[str, Policy[Any]]:
    """Those that observe nothing, by name: ``logged`` is the order in which the world presents its lists."""
    return {"logged": PresentedOrder(), "random": RandomOrder(catalogue_size)}


def offered(scene: Scene) -> Tensor:
    """The candidates (B, C). Raises ValueError for a world that offers none."""
    if scene.candidates is None:
        raise ValueError("this policy orders candidates, and the world offers none")
    return scene.candidates
