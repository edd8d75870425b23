"""Which models of the hidden state are worth fitting to a log, in the order in which they are tried."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from irecgan.errors import UserError
from irecgan.models.latent import LatentTables
from irecgan.training.latent.em import run_em
from irecgan.training.latent.expectation import expect, kind_log_chances
from irecgan.training.latent.kinds import Kinds, find_kinds
from irecgan.training.latent.priors import flat_priors
from irecgan.training.latent.states import Counts, merge_path, paired_kinds
from irecgan.training.latent.trajectories import Trajectories

LARGEST = 300_000_000
"""Numbers of the moves, at most: states squared times items."""
CLICK_STATES = (2, 3, 4, 6, 8, 12, 16)
"""Numbers of states to try where slates say nothing of them."""
_FIRST_STEPS = 5
_HOLDS = 0.05
"""Share of a kind's slates from which on it is said to hold an item."""

_SHOWS = 0.05
"""Share of a state's slates from which on it is said to show a kind."""


@dataclass(frozen=True)
class Structure:
    """A model to fit: states that show given kinds of slates, or states that clicks alone tell apart."""

    kinds: Kinds
    state: Tensor | None  # (C,) the state that shows each kind; None: all states show all kinds alike
    states: int
    finer: "Structure | None" = None  # to be preferred, unless this one is clearly likelier

    def begin(self, items: int, generator: torch.Generator) -> LatentTables:
        """The tables that EM begins with."""
        if self.state is None:
            return _drawn(self.kinds, self.states, items, generator)
        share = nn.functional.one_hot(self.state, self.states).double().T
        return _blank(self.kinds, share / share.sum(1, keepdim=True), items)


def find_structures(steps: Trajectories, generator: torch.Generator, *, ends_logged: bool) -> list[Structure]:
    """The models to try, the likeliest first.

    Kinds of slates are merged to states by evidence; beside these stands one state for all. Moves that foretell little
    favour few states, so pairs of kinds that exclude each other, or, where every kind is one fixed list, a state for
    each, are preferred to fewer states that are hardly likelier. Where there is but one kind of slate, there may be
    states that only clicks can tell apart.
    """
    kinds = find_kinds(steps, generator)
    together = torch.zeros(len(kinds), dtype=torch.int64)
    if len(kinds) == 1:
        fitting = [count for count in CLICK_STATES if count**2 * (steps.items + 1) <= LARGEST]
        return [_of_states(kinds, together), *(Structure(kinds, None, count) for count in fitting)]
    refuse_too_large(len(kinds), steps.items)
    counts = _counts(kinds, steps, ends_logged=ends_logged)
    paired = paired_kinds(counts)
    path, evidence = merge_path(counts, split=paired is not None)
    fixed = int(counts.held.sum(1).max()) <= steps.longest_slate
    by_lists = paired if paired is not None else path[0] if fixed else None
    merged, one = (_of_states(kinds, state) for state in (path[int(evidence.argmax())], together))
    if by_lists is not None and int(by_lists.max()) >= merged.states:
        merged = replace(merged, finer=_of_states(kinds, by_lists))
    return [merged] if merged.states == 1 and merged.finer is None else [merged, one]


def _of_states(kinds: Kinds, state: Tensor) -> Structure:
    return Structure(kinds, state, int(state.max()) + 1)


def tells_states_by_lists(tables: LatentTables) -> bool:
    """Whether every state shows lists of its own, none of which share an item: then it is plain how slates were made.

    States that were merged, for want of evidence, show lists that overlap. Of one state lists tell nothing.
    """
    held, shows = _lists(tables)
    together = (shows.double().T @ shows.double()).fill_diagonal_(0) > 0  # (C, C), kinds of one state
    shared = held.double() @ held.double().T > 0
    return tables.states > 1 and bool((shows.sum(0) <= 1).all()) and not bool((together & shared).any())


def shown_share(tables: LatentTables) -> float:
    """The share of the catalogue that the lists of a state hold, mean over states."""
    held, shows = _lists(tables)
    return float(((shows.double() @ held.double()) > 0).double().mean())


def _lists(tables: LatentTables) -> tuple[Tensor, Tensor]:
    """The items that each kind of slates holds (C, n), and the kinds that each state shows (Z, C). bool"""
    return torch.sigmoid(tables.kind_logit[:, :-1]) > _HOLDS, tables.kind_share > _SHOWS


def refuse_too_large(states: int, items: int) -> None:
    """Raise UserError where the moves of so many states by so many items do not fit into memory."""
    if states**2 * (items + 1) > LARGEST:
        raise UserError(
            f"latent user model: found {items} items and {states} kinds of slates, expected at most {LARGEST} "
            "moves (items times kinds squared); filter rare items, or take another recipe"
        )


def _counts(kinds: Kinds, steps: Trajectories, *, ends_logged: bool) -> Counts:
    """What is counted where every kind is a state of its own."""
    share = torch.eye(len(kinds), dtype=torch.float64)
    tables = run_em(
        _blank(kinds, share, steps.items),
        steps,
        flat_priors(len(kinds), steps.items),
        iterations=_FIRST_STEPS,
        ends_logged=ends_logged,
        learn_priors=False,
    )
    found = expect(tables, steps, kind_log_chances(tables, steps))
    refusal = (found.candidate - found.click).clamp(min=0)
    held = torch.sigmoid(kinds.logit[:, :-1]) > _HOLDS
    return Counts(found.moves[:-1], found.start, found.click[:, :-1], refusal[:, :-1], found.kind.sum(0), held)


def _blank(kinds: Kinds, share: Tensor, items: int) -> LatentTables:
    """States about which nothing is known but the kinds of slates they show: ``share`` (Z, C)."""
    states = len(share)
    half = torch.full((states, items + 1), 0.5, dtype=torch.float64)
    weight = half.clone()
    weight[:, -1] = 0
    return LatentTables(
        start=torch.full((states,), 1 / states, dtype=torch.float64),
        weight=weight,
        survival=half,
        reward=torch.ones_like(half),
        transition=torch.full((items + 1, states, states), 1 / states, dtype=torch.float64),
        leave=torch.full((states,), 0.5, dtype=torch.float64),
        kind_share=share,
        kind_logit=kinds.logit,
        kind_base=kinds.base,
    )


def _drawn(kinds: Kinds, states: int, items: int, generator: torch.Generator) -> LatentTables:
    """States that differ by chance, for EM to begin with."""
    blank = _blank(kinds, torch.full((states, len(kinds)), 1 / len(kinds), dtype=torch.float64), items)
    survival = 0.1 + 0.8 * torch.rand(states, items + 1, dtype=torch.float64, generator=generator)
    weight = survival.clone()
    weight[:, -1] = 0
    moves = torch.rand(items + 1, states, states, dtype=torch.float64, generator=generator) ** 4
    start = torch.rand(states, dtype=torch.float64, generator=generator)
    fields = vars(blank) | {
        "survival": survival,
        "weight": weight,
        "transition": moves / moves.sum(2, keepdim=True),
        "start": start / start.sum(),
    }
    return LatentTables(**fields)
