"""Orders of the lists that a world presents."""

import torch
from torch import Tensor

from irecgan.policies.logging import Memoryless, NoMemory
from irecgan.worlds.interface import Scene


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


def offered(scene: Scene) -> Tensor:
    """The candidates (B, C). Raises ValueError for a world that offers none."""
    if scene.candidates is None:
        raise ValueError("this policy orders candidates, and the world offers none")
    return scene.candidates
