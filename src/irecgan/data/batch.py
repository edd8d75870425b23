"""Encoded sessions: the ragged collection that is kept, and the padded batch that models read.

Items are indices ``0 .. n-1`` of a catalogue of ``n`` items. The index ``n`` stands for "no item":
padding, no click, or an item that the catalogue does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import torch
from torch import Tensor

from irecgan.data.order import bucketed, bucketed_blocks
from irecgan.data.ragged import offsets, padded, ranges, runs
from irecgan.data.sparse import PaddedRows, SparseRows

NOTHING = -1
"""Position of the click on a step where nothing was clicked: the session's end, ``c_end``."""


@dataclass(frozen=True)
class Looks:
    """The P items, at most, that were touched in each of B sessions by other actions than clicks, oldest first."""

    item: Tensor  # (B, P) int64, n where there are no more
    step: Tensor  # (B, P) int64, the step that each of them came before, rising; T where there are no more

    def to(self, device: torch.device) -> "Looks":
        """The same on another device."""
        return Looks(_moved(self.item, device), _moved(self.step, device))


@dataclass(frozen=True)
class SessionBatch:
    """Padded sessions. B sessions, at most T steps, at most K items shown.

    Logged and generated sessions share this type. A step whose ``position`` is NOTHING is the end of
    its session (``c_end`` of the paper); a session cut at the maximum length has none.
    """

    slate: Tensor  # (B, T, K) int64, item indices in shown order; n where nothing is shown
    shown: Tensor  # (B, T, K) bool, true where the slate has an item (known or not)
    click: Tensor  # (B, T) int64, item index; n where nothing, or an unknown item, was clicked
    position: Tensor  # (B, T) int64, rank of the click in the slate, from 0; NOTHING on an end step
    reward: Tensor  # (B, T) float32, reward on the clicked item; 0 on an end step
    propensity: Tensor  # (B, T) float32 in (0, 1], of the logging policy for the click; nan = unknown
    score: Tensor  # (B, T) float32 in [0, 1], q_D of Eq. (6); 1 on logged sessions
    real: Tensor  # (B, T) bool, false on padding
    catalogue_size: int
    touched: Tensor | None = None  # (B, T) int64, rank in the slate of the item touched last before; see Sessions
    generated: Tensor | None = None  # (B,) bool, sessions that an agent and a user model made; None: logged ones
    context: PaddedRows | None = None  # (B, T, W) what was known before each slate was shown; None: nothing
    looks: Looks | None = None  # items touched between steps; None where that is not known
    visits: Tensor | None = None  # (B, T, K) int64, touches of each item shown in earlier sessions; see Sessions

    @property
    def clicked(self) -> Tensor:
        """Steps with a click. (B, T) bool"""
        return self.real & (self.position != NOTHING)

    @property
    def ended(self) -> Tensor:
        """Steps that end their session. (B, T) bool"""
        return self.real & (self.position == NOTHING)

    @property
    def steps(self) -> Tensor:
        """Steps of each session, its end step included. (B,) int64"""
        return self.real.sum(1)

    def __len__(self) -> int:
        return self.slate.shape[0]

    def to(self, device: torch.device | str) -> "SessionBatch":
        """The same batch on another device; to a GPU without waiting for it."""
        target = torch.device(device)
        if target == self.slate.device:
            return self
        moved = {f.name: _moved(getattr(self, f.name), target) for f in fields(self) if f.type is Tensor}
        optional = {name: getattr(self, name) for name in ("touched", "generated", "visits")}
        moved |= {name: _moved(tensor, target) for name, tensor in optional.items() if tensor is not None}
        context = None if self.context is None else self.context.to(target)
        looks = None if self.looks is None else self.looks.to(target)
        return replace(self, catalogue_size=self.catalogue_size, context=context, looks=looks, **moved)


class SessionSource(Protocol):
    """What a learner needs of sessions, wherever they are."""

    @property
    def steps(self) -> Tensor:
        """Steps of each session. (S,) int64"""
        ...

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> SessionBatch:
        """The sessions ``rows`` (B,), padded to the longest of them and to their longest slate."""
        ...

    def shuffled(self, batch_size: int, generator: torch.Generator) -> list[Tensor]:
        """Batches of session rows in the order of one epoch: every row once."""
        ...


@dataclass(frozen=True)
class Sessions:
    """Ragged sessions: S sessions, N steps, M shown items, stored flat without padding.

    Integers are int64, or int32 where sessions are stored; batches have int64.
    """

    step_start: Tensor  # (S + 1,) int64: steps of session s are step_start[s] .. step_start[s+1]
    item_start: Tensor  # (N + 1,) int64: the slate of step i is item[item_start[i] .. item_start[i+1]]
    item: Tensor  # (M,) int
    click: Tensor  # (N,) int
    position: Tensor  # (N,) int
    reward: Tensor  # (N,) float32
    propensity: Tensor  # (N,) float32
    score: Tensor  # (N,) float32
    catalogue_size: int
    touched: Tensor | None = None
    """(N,) int: rank in the slate, from 0, of the item touched last before the step: the last clicked one, or what
    the log says in ``last_touched``. A rank, so that items unknown to the catalogue count. NOTHING where none was
    touched or it is not shown; None where the sessions come from no log. For baselines and the terms of U."""
    generated: Tensor | None = None
    """(S,) bool: sessions that an agent and a user model made; None where all are logged."""
    context: SparseRows | None = None
    """(N,) rows: the context of each step, known before its slate is shown, by a `Code` of the log's context columns;
    None where models read none. Steps of generated sessions have the log's average, see `Code.average`."""
    looks: SparseRows | None = None
    """(N,) rows: the known items that were touched between each step and the one before, oldest first, by the log's
    ``touched_between``; None where it says nothing of that. For the terms of U."""
    visits: Tensor | None = None
    """(M,) int32: how often the user had touched each item shown in earlier sessions, by the log's ``touched_by_user``;
    None where it says nothing of that. For the terms of U."""
    block: int | None = None
    """Neighbouring sessions that stay together when they are shuffled; None where single ones are."""

    def __len__(self) -> int:
        return len(self.step_start) - 1

    @property
    def steps(self) -> Tensor:
        """Steps of each session. (S,) int64"""
        return self.step_start.diff()

    @property
    def slate_sizes(self) -> Tensor:
        """Items shown at each step. (N,) int64"""
        return self.item_start.diff()

    def batch(self, rows: Tensor) -> SessionBatch:
        """The sessions ``rows`` (B,), padded to the longest of them and to their longest slate."""
        real, step = padded(*runs(self.step_start, rows))  # (B, T)
        first, sizes = runs(self.item_start, step)
        shown, entry = padded(first.flatten(), torch.where(real, sizes, 0).flatten())
        shown, entry = (x.unflatten(0, real.shape) for x in (shown, entry))  # (B, T, K)
        nothing = self.catalogue_size
        slate = torch.where(shown, _take(self.item, entry, nothing).long(), nothing)
        return SessionBatch(
            slate=slate,
            shown=shown,
            click=torch.where(real, self.click[step].long(), nothing),
            position=torch.where(real, self.position[step].long(), NOTHING),
            reward=torch.where(real, self.reward[step], 0.0),
            propensity=torch.where(real, self.propensity[step], torch.nan),
            score=torch.where(real, self.score[step], 0.0),
            real=real,
            catalogue_size=nothing,
            touched=None if self.touched is None else torch.where(real, self.touched[step].long(), NOTHING),
            generated=None if self.generated is None else self.generated[rows],
            context=None if self.context is None else self.context.padded(step),
            looks=None if self.looks is None else self._looks(self.looks, rows, real.shape[1]),
            visits=None if self.visits is None else torch.where(shown, _take(self.visits, entry, 0).long(), 0),
        )

    def _looks(self, looks: SparseRows, rows: Tensor, horizon: int) -> Looks:
        """Those of the sessions ``rows`` (B,), padded to ``horizon`` (T) steps."""
        begin, steps = runs(self.step_start, rows)
        first = looks.start[begin]
        real, entry = padded(first, looks.start[begin + steps] - first)  # (B, P)
        step = torch.searchsorted(looks.start, entry, right=True) - 1 - begin[:, None]
        item = _take(looks.feature, entry, self.catalogue_size).long()
        return Looks(torch.where(real, item, self.catalogue_size), torch.where(real, step, horizon))

    def shuffled(self, batch_size: int, generator: torch.Generator) -> list[Tensor]:
        """Batches of rows in which lengths are alike, in the order of one epoch; block by block if they have blocks."""
        if self.block is None:
            return bucketed(self.steps, batch_size, generator)
        return bucketed_blocks(self.steps, batch_size, generator, self.block)

    def select(self, rows: Tensor) -> "Sessions":
        """The sessions ``rows``, in that order."""
        first_step, steps = runs(self.step_start, rows)
        step = ranges(first_step, steps)
        first_item, sizes = runs(self.item_start, step)
        entry = ranges(first_item, sizes)
        return Sessions(
            step_start=offsets(steps),
            item_start=offsets(sizes),
            item=self.item[entry],
            click=self.click[step],
            position=self.position[step],
            reward=self.reward[step],
            propensity=self.propensity[step],
            score=self.score[step],
            catalogue_size=self.catalogue_size,
            touched=None if self.touched is None else self.touched[step],
            generated=None if self.generated is None else self.generated[rows],
            context=None if self.context is None else self.context.select(step),
            looks=None if self.looks is None else self.looks.select(step),
            visits=None if self.visits is None else self.visits[entry],
        )

    @classmethod
    def from_batch(cls, batch: SessionBatch) -> "Sessions":
        """The sessions of a padded batch, without the padding and without context."""
        real = batch.real
        return cls(
            step_start=offsets(batch.steps),
            item_start=offsets(batch.shown[real].sum(1)),
            item=batch.slate[real][batch.shown[real]],
            click=batch.click[real],
            position=batch.position[real],
            reward=batch.reward[real],
            propensity=batch.propensity[real],
            score=batch.score[real],
            catalogue_size=batch.catalogue_size,
            touched=None if batch.touched is None else batch.touched[real],
            generated=batch.generated,
            looks=None if batch.looks is None else _rows(batch.looks, batch.steps, batch.catalogue_size),
            visits=None if batch.visits is None else batch.visits[real][batch.shown[real]],
        )

    @classmethod
    def concat(cls, parts: Sequence["Sessions"]) -> "Sessions":
        """All sessions of ``parts``, one after the other; they share one catalogue, and all or none have context."""
        sizes = {part.catalogue_size for part in parts}
        if len(sizes) != 1:
            raise ValueError(f"expected parts of one catalogue, found catalogue sizes {sorted(sizes)}")

        contexts = [part.context for part in parts if part.context is not None]
        if len(contexts) not in {0, len(parts)}:
            raise ValueError("expected context in all parts or in none")

        def flat(name: str) -> Tensor:
            return torch.cat([getattr(part, name) for part in parts])

        return cls(
            step_start=offsets(torch.cat([part.steps for part in parts])),
            item_start=offsets(torch.cat([part.slate_sizes for part in parts])),
            item=flat("item"),
            click=flat("click"),
            position=flat("position"),
            reward=flat("reward"),
            propensity=flat("propensity"),
            score=flat("score"),
            catalogue_size=sizes.pop(),
            touched=flat("touched") if all(part.touched is not None for part in parts) else None,
            generated=_marks(parts),
            context=SparseRows.concat(contexts) if contexts else None,
            looks=_all_looks(parts),
            visits=_all_visits(parts),
        )


@dataclass(frozen=True)
class Joined:
    """The sessions of ``parts``, one after the other, without a copy. They share one catalogue."""

    parts: Sequence[Sessions]
    block: int  # as in Sessions

    @property
    def steps(self) -> Tensor:
        """Steps of each session. (S,) int64"""
        return torch.cat([part.steps for part in self.parts])

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def batch(self, rows: Tensor) -> SessionBatch:
        """The sessions ``rows`` (B,), padded to the longest of them and to their longest slate."""
        first, chosen, places = 0, [], []
        for part in self.parts:
            inside = (rows >= first) & (rows < first + len(part))
            chosen.append(part.select(rows[inside] - first))
            places.append(inside.nonzero().squeeze(1))
            first += len(part)
        return Sessions.concat(chosen).batch(torch.cat(places).argsort())

    def shuffled(self, batch_size: int, generator: torch.Generator) -> list[Tensor]:
        """Batches of rows in which lengths are alike, block by block."""
        return bucketed_blocks(self.steps, batch_size, generator, self.block)


def last_clicked(batch: SessionBatch) -> Tensor:
    """The rank in each slate of the item that was clicked at the step before; NOTHING where it is not shown. (B, T)"""
    before = torch.nn.functional.pad(batch.click[:, :-1], (1, 0), value=batch.catalogue_size)
    same = (batch.slate == before[..., None]) & (before < batch.catalogue_size)[..., None]  # (B, T, K)
    return torch.where(same.any(2), same.int().argmax(2), NOTHING)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _marks(parts: Sequence[Sessions]) -> Tensor | None:
    """Which sessions of ``parts`` are generated; None if none is."""
    if all(part.generated is None for part in parts):
        return None
    none = [torch.zeros(len(part), dtype=torch.bool) if part.generated is None else part.generated for part in parts]
    return torch.cat(none)


def _rows(looks: Looks, steps: Tensor, nothing: int) -> SparseRows:
    """``looks`` as a row for each of the ``steps`` (B,) of sessions."""
    known = looks.item < nothing
    row = (offsets(steps)[:-1, None] + looks.step)[known]
    return SparseRows.marks(row, looks.item[known], int(steps.sum()))


def _all_looks(parts: Sequence[Sessions]) -> SparseRows | None:
    """The looks of all ``parts``, none where they are not known; None if they are nowhere."""
    if all(part.looks is None for part in parts):
        return None
    return SparseRows.concat(
        [SparseRows.empty(len(part.click)) if part.looks is None else part.looks for part in parts]
    )


def _all_visits(parts: Sequence[Sessions]) -> Tensor | None:
    """The visits of all ``parts``, 0 where they are not known; None if they are nowhere."""
    if all(part.visits is None for part in parts):
        return None
    known = [torch.zeros_like(part.item) if part.visits is None else part.visits for part in parts]
    return torch.cat([visits.int() for visits in known])


def _take(values: Tensor, index: Tensor, default: int) -> Tensor:
    """``values[index]``, or ``default`` everywhere when there are no values at all."""
    return values[index] if len(values) else torch.full_like(index, default)
