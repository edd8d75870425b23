"""What a log says of single items, beside the session that asks."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from irecgan.data.batch import Sessions

_ENTRIES = 10_000_000  # of stored sessions, made wide at once


@dataclass(frozen=True)
class ItemCounts:
    """How often each item of a catalogue was shown and clicked in a log."""

    shown: Tensor  # (n,) int64, slates that showed it
    clicks: Tensor  # (n,) int64
    sessions: Tensor  # (n,) int64, sessions with a click on it

    @classmethod
    def of(cls, sessions: Sessions) -> "ItemCounts":
        """The counts of ``sessions``; unknown items are not counted."""
        n = sessions.catalogue_size
        owner = torch.arange(len(sessions)).repeat_interleave(sessions.steps)  # (N,)
        known = sessions.click < n
        pairs = (owner[known] * n + sessions.click[known]).unique()
        return cls(_counted(sessions.item, n), _counted(sessions.click, n), _counted(pairs % n, n))

    def __len__(self) -> int:
        return len(self.shown)

    def with_unknown(self) -> "ItemCounts":
        """The same with counts of 0 for the index n. (n + 1,) each"""
        return self.with_new_items(1)

    def with_new_items(self, new: int) -> "ItemCounts":
        """The same for a catalogue of ``new`` items more, which the log never showed."""
        return ItemCounts(*(torch.nn.functional.pad(getattr(self, field.name), (0, new)) for field in fields(self)))

    def to(self, device: torch.device) -> "ItemCounts":
        """The same on another device."""
        return ItemCounts(*(getattr(self, field.name).to(device) for field in fields(self)))


def _counted(items: Tensor, n: int) -> Tensor:
    counts = torch.zeros(n + 1, dtype=torch.int64)
    for part in items.split(_ENTRIES):
        counts += torch.bincount(part.long(), minlength=n + 1)
    return counts[:n]
