"""All ways in which sessions can begin, where items and steps are few enough to list them."""

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch


def list_prefixes(items: int, slate_size: int, clicks: int, rewards: Sequence[float] = (1.0,)) -> list[SessionBatch]:
    """Every prefix tau_0:t of sessions that are cut after ``clicks`` clicks: the t-th batch holds those of t + 1 steps.

    A step shows any slate, in any order, and is a click on one of its items, with one of ``rewards``, or the end.
    Which of them can happen is not asked.

    >>> [len(batch) for batch in list_prefixes(items=3, slate_size=2, clicks=2)]  # 6 slates: 12 clicks or 6 ends
    [18, 216]
    """
    step = _steps(items, slate_size, rewards)
    levels = [step]
    for _ in range(clicks - 1):
        levels.append(_then(_open(levels[-1]), step))
    return levels


def whole_sessions(levels: Sequence[SessionBatch]) -> list[SessionBatch]:
    """Those of the prefixes that are whole sessions: that ended, or were cut at the last level."""
    ended = [_rows(level, level.position[:, -1] == NOTHING) for level in levels]
    return [*ended, _open(levels[-1])]


def _steps(items: int, slate_size: int, rewards: Sequence[float]) -> SessionBatch:
    """All sessions of one step."""
    slates = torch.tensor(list(permutations(range(items), slate_size)))  # (S, K)
    answers = [(place, reward) for place in range(slate_size) for reward in rewards] + [(NOTHING, 0.0)]
    position = torch.tensor([place for place, _ in answers]).repeat(len(slates))[:, None]  # (S A, 1)
    reward = torch.tensor([reward for _, reward in answers]).repeat(len(slates))[:, None]
    slate = slates.repeat_interleave(len(answers), 0)  # (S A, K)
    return _batch(slate[:, None], position, reward, items)


def _then(prefix: SessionBatch, step: SessionBatch) -> SessionBatch:
    """Every session of ``prefix`` followed by every one of ``step``."""

    def joined(name: str) -> Tensor:
        first, last = getattr(prefix, name), getattr(step, name)
        again = last.repeat(len(prefix), *[1] * (last.ndim - 1))
        return torch.cat([first.repeat_interleave(len(step), 0), again], dim=1)

    return _batch(joined("slate"), joined("position"), joined("reward"), prefix.catalogue_size)


def _open(batch: SessionBatch) -> SessionBatch:
    return _rows(batch, batch.position[:, -1] != NOTHING)


def _rows(batch: SessionBatch, kept: Tensor) -> SessionBatch:
    return _batch(batch.slate[kept], batch.position[kept], batch.reward[kept], batch.catalogue_size)


def _batch(slate: Tensor, position: Tensor, reward: Tensor, items: int) -> SessionBatch:
    """Sessions of one length. ``slate`` (P, T, K), ``position`` (P, T), ``reward`` (P, T)"""
    clicked = position != NOTHING
    click = slate.gather(2, position.clamp(min=0)[..., None]).squeeze(2)
    return SessionBatch(
        slate=slate,
        shown=torch.ones_like(slate, dtype=torch.bool),
        click=torch.where(clicked, click, items),
        position=position,
        reward=reward,
        propensity=torch.full_like(reward, torch.nan),
        score=torch.ones_like(reward),
        real=torch.ones_like(clicked),
        catalogue_size=items,
    )
