"""What a training knows of its log."""

import hashlib
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import torch
from torch import Tensor

from irecgan.data.batch import Joined, Sessions, SessionSource
from irecgan.data.catalogue import Catalogue
from irecgan.data.sparse import SparseRows
from irecgan.errors import UserError
from irecgan.models.content import Inputs
from irecgan.models.rewards import RewardLaw

_HASHED = 10_000_000  # numbers made wide at once


@dataclass(frozen=True)
class TrainingData:
    """Encoded sessions to learn from and to stop by, over one catalogue."""

    train: Sessions
    validation: Sessions
    final_slates: bool  # whether sessions show the slates at which users left, see `irecgan.data.log.Ends`
    inputs: Inputs = field(default_factory=Inputs)  # the columns that models read; those of the items of the log alone

    @property
    def items(self) -> int:
        """The number of items n."""
        return self.train.catalogue_size

    @cached_property
    def reward_law(self) -> RewardLaw:
        """The law of the rewards on logged clicks."""
        return RewardLaw.of(self.train.reward[self.train.position >= 0])

    @cached_property
    def slate_size(self) -> int:
        """The median number of items shown where a slate is known."""
        sizes = self.train.slate_sizes
        return int(sizes[sizes > 0].median())

    @cached_property
    def longest(self) -> int:
        """The most steps of a session, its end included."""
        return int(self.train.steps.max())

    @cached_property
    def clicks(self) -> float:
        """Clicks per session."""
        return float((self.train.position >= 0).sum() / len(self.train))

    def mixed(self, generated: Sessions) -> SessionSource:
        """The sessions to learn from and generated ones; without a copy of the former where they are stored.

        Generated sessions have no context of their own: at each step it is the log's average.
        """
        if self.inputs.context is not None:
            generated = replace(generated, context=self.inputs.context.average(len(generated.click)))
        if self.train.block is None:
            return Sessions.concat([self.train, generated])
        return Joined((self.train, generated), self.train.block)

    @property
    def all(self) -> Sessions:
        """Those to learn from and those held out."""
        return Sessions.concat([self.train, self.validation])

    def some(self, sessions: int) -> Sessions:
        """At most ``sessions`` logged ones: those held out, and the first of the others."""
        first = self.train.select(torch.arange(min(sessions, len(self.train))))
        return Sessions.concat([self.validation, first])

    def fingerprint(self, catalogue: Catalogue, *, touched: bool = False) -> str:
        """A digest of every number that is learned from, to tell whether two trainings see the same log.

        ``catalogue``: whose ids the items have. ``touched``: touched items are learned from too.
        """
        digest = hashlib.sha256(catalogue.digest().encode())
        for sessions in (self.train, self.validation):
            for each in fields(sessions):
                values = getattr(sessions, each.name)
                if each.type is Tensor or (touched and each.name in {"touched", "visits"} and values is not None):
                    _update(digest, values)
            for rows in (sessions.context, sessions.looks if touched else None):
                if rows is not None:
                    _update_rows(digest, rows)
        if self.inputs.items is not None:
            _update_rows(digest, self.inputs.items.rows)
            digest.update(self.inputs.items.code.model_dump_json().encode())
        if self.inputs.context is not None:
            digest.update(self.inputs.context.model_dump_json().encode())
        return digest.hexdigest()


def _update(digest: "hashlib._Hash", values: Tensor) -> None:
    for part in values.split(_HASHED):
        digest.update((part if part.is_floating_point() else part.long()).numpy().tobytes())


def _update_rows(digest: "hashlib._Hash", rows: SparseRows) -> None:
    for values in (rows.start, rows.feature, rows.weight):
        _update(digest, values)


def with_clicks(data: TrainingData, name: str) -> TrainingData:
    """``data``. Raises UserError, with ``name``, where all clicks are in the sessions held out."""
    if not bool((data.train.position >= 0).any()):
        raise UserError(
            f"{name}: column click: found no click outside the {len(data.validation)} sessions held out; "
            "expected some to learn from"
        )
    return data


def hold_out(sessions: Sessions, share: float, generator: torch.Generator) -> tuple[Sessions, Sessions]:
    """Split off a random ``share`` of the sessions: the rest, and those held out.

    Raises UserError when there are fewer than 2.
    """
    rest, held = hold_out_rows(len(sessions), share, generator)
    return sessions.select(rest), sessions.select(held)


def hold_out_rows(sessions: int, share: float, generator: torch.Generator, name: str = "log") -> tuple[Tensor, Tensor]:
    """The rows, rising, of `hold_out` in so many ``sessions`` of the log ``name``."""
    if sessions < 2:
        raise UserError(f"{name}: found {sessions} session; expected at least 2, to hold one out")
    order = torch.randperm(sessions, generator=generator)
    held = min(max(1, round(share * sessions)), sessions - 1)
    return order[held:].sort().values, order[:held].sort().values
