"""Small latent-state models, and all that can happen to their users, listed."""

import itertools
from dataclasses import replace

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch, Sessions
from irecgan.models.latent import LatentTables


def tables_of(states: int, items: int, kinds: int, seed: int = 0) -> LatentTables:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return 0.1 + 0.8 * torch.rand(*shape, dtype=torch.float64, generator=generator)

    def shares(*shape: int) -> Tensor:
        rows = draw(*shape)
        return rows / rows.sum(-1, keepdim=True)

    chance = draw(kinds, items)
    zero = torch.zeros(states, 1, dtype=torch.float64)
    return LatentTables(
        start=shares(states),
        weight=torch.cat([draw(states, items), zero], dim=1),
        survival=draw(states, items + 1),
        reward=torch.ones(states, items + 1, dtype=torch.float64),
        transition=shares(items + 1, states, states),
        leave=draw(states),
        kind_share=shares(states, kinds),
        kind_logit=torch.cat([torch.logit(chance), torch.zeros(kinds, 1, dtype=torch.float64)], dim=1),
        kind_base=(1 - chance).log().sum(1),
    )


def tied(tables: LatentTables) -> LatentTables:
    weight = tables.survival.clone()
    weight[:, -1] = 0
    return replace(tables, weight=weight)


def sessions_of(steps: list[list[tuple[list[int], int]]], items: int) -> Sessions:
    """Sessions of (slate, clicked item or NOTHING) each."""
    longest, width = max(map(len, steps)), max(len(slate) for session in steps for slate, _ in session)
    shape = (len(steps), longest)
    slate = torch.full((*shape, width), items)
    click, position = torch.full(shape, items), torch.full(shape, NOTHING)
    real = torch.zeros(shape, dtype=torch.bool)
    for s, session in enumerate(steps):
        for t, (shown, chosen) in enumerate(session):
            slate[s, t, : len(shown)] = torch.tensor(shown, dtype=torch.int64)
            real[s, t] = True
            if chosen != NOTHING:
                click[s, t], position[s, t] = chosen, shown.index(chosen)
    clicked = position != NOTHING
    batch = SessionBatch(
        slate=slate,
        shown=slate < items,
        click=click,
        position=position,
        reward=clicked.float(),
        propensity=torch.full(shape, torch.nan),
        score=real.float(),
        real=real,
        catalogue_size=items,
    )
    return Sessions.from_batch(batch)


def path_chances(tables: LatentTables, session: list[tuple[list[int], int]]) -> dict[tuple[int, ...], float]:
    """The chance of a session with each path of hidden states."""
    found = {}
    for path in itertools.product(range(tables.states), repeat=len(session)):
        chance = float(tables.start[path[0]])
        for t, (slate, click) in enumerate(session):
            z = path[t]
            chance *= float(tables.kind_share[z] @ _held(tables, slate)) if slate else 1.0
            chance *= _answer(tables, z, slate, click)
            if t + 1 < len(session):
                chance *= float(tables.transition[click, z, path[t + 1]])
        found[path] = chance
    return found


def _held(tables: LatentTables, slate: list[int]) -> Tensor:
    chance = torch.sigmoid(tables.kind_logit[:, :-1])  # (C, n)
    held = torch.zeros(tables.items, dtype=torch.bool)
    held[slate] = True
    return torch.where(held, chance, 1 - chance).prod(1)


def _answer(tables: LatentTables, z: int, slate: list[int], click: int) -> float:
    if not slate:
        return float(tables.leave[z])
    weight, survival = tables.weight[z, slate], tables.survival[z, slate]
    if click == NOTHING:
        return float((weight * (1 - survival)).sum() / weight.sum())
    return float(tables.weight[z, click] * tables.survival[z, click] / weight.sum())
