"""One seed, many named random streams.

A stream is found by its name alone, so work can be interrupted, repeated or reordered without any
generator state being stored: epoch 7 of the agent shuffles alike whether or not epochs 1-6 ran in
this process.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Streams:
    """Named, independent random generators that all derive from one seed.

    >>> streams = Streams(7)
    >>> a = streams.torch("agent", "shuffle", 3)
    >>> b = Streams(7).torch("agent", "shuffle", 3)
    >>> bool((torch.rand(5, generator=a) == torch.rand(5, generator=b)).all())
    True
    """

    seed: int

    def derive(self, *name: str | int) -> int:
        """The 63-bit seed of the stream called ``name``."""
        key = "\x1f".join([str(self.seed), *map(str, name)])
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1

    def torch(self, *name: str | int, device: torch.device | str = "cpu") -> torch.Generator:
        """A fresh torch generator at the beginning of the stream called ``name``."""
        return torch.Generator(device=device).manual_seed(self.derive(*name))

    def numpy(self, *name: str | int) -> np.random.Generator:
        """A fresh numpy generator at the beginning of the stream called ``name``."""
        return np.random.default_rng(self.derive(*name))

    def child(self, *name: str | int) -> "Streams":
        """The streams below ``name``, for a part of the work that names its own."""
        return Streams(self.derive(*name))
