"""From kinds of slates to states of users: kinds that follow the same clicks are shown in the same state.

A system may show several kinds of slates in one state. Kinds are merged two by two as long as the evidence
rises: of the moves (rows of a state, and what leads to it), of the kinds shown in a state, and of the answers to
items that both show. All are closed forms, given which kind each slate is.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from irecgan.training.latent.conjugate import likeliest_prior, log_beta, row_evidence

_ITEMS = 2_000
"""Items, those clicked most, whose moves are weighed."""
_NONE = 1e-6
"""Expected counts below this are none."""
_CLEAR = 3.0
"""Log odds, 20 to 1, from which on kinds are taken to come in pairs."""


@dataclass(frozen=True)
class Counts:
    """What was counted of C kinds."""

    moves: Tensor  # (n, C, C), or of the items alone by a click on which someone moved
    start: Tensor  # (C,)
    click: Tensor  # (C, n)
    refusal: Tensor  # (C, n)
    kind: Tensor  # (C,)
    held: Tensor  # (C, n) bool, the items that a kind holds

    def only(self, items: Tensor) -> "Counts":
        """The same of ``items`` alone."""
        return Counts(self.moves[items], self.start, self.click[:, items], self.refusal[:, items], self.kind, self.held)

    def of_frequent_items(self) -> "Counts":
        """The same of the items that are clicked most: as many as are weighed; no moves of those never clicked."""
        frequent = self.only(self.click.sum(0).topk(min(_ITEMS, self.click.shape[1])).indices)
        return replace(frequent, moves=frequent.moves[frequent.moves.sum((1, 2)) > _NONE])


def paired_kinds(counts: Counts) -> Tensor | None:
    """The state of each kind (C,), if it is past chance how many kinds can be paired so that none shares an item.

    A system that shows two kinds of slates in a state, the best items and others, say, splits its items among
    them. Beside what moves and answers say, each pair counts by how unlikely it is that drawn items exclude each
    other; the pairs are those of most weight (Edmonds' matching). All together have to outweigh the number of ways
    to pair so many kinds.
    """
    counts = counts.of_frequent_items()
    kinds = len(counts.start)
    apart, log_chance = _apart(counts.held)
    weight = _gains(counts, _best_spread(counts)) - log_chance
    edges = [(a, b, float(weight[a, b])) for a, b in apart.triu(1).nonzero().tolist() if weight[a, b] > 0]
    import networkx  # noqa: PLC0415 - most trainings pair nothing, and it takes long to import

    graph = networkx.Graph()
    graph.add_weighted_edges_from(edges)
    pairs = sorted(networkx.max_weight_matching(graph))
    odds = sum(-float(log_chance[pair]) for pair in pairs) - _log_pairings(kinds, len(pairs)) - math.log(kinds // 2 + 1)
    if not pairs or odds < _CLEAR:
        return None
    state = torch.arange(kinds)
    for a, b in pairs:
        state[max(a, b)] = min(a, b)
    numbered: Tensor = state.unique(return_inverse=True)[1]
    return numbered


def _log_pairings(kinds: int, pairs: int) -> float:
    """The logarithm of the number of ways to take ``pairs`` pairs from ``kinds``."""
    return math.lgamma(kinds + 1) - math.lgamma(kinds - 2 * pairs + 1) - math.lgamma(pairs + 1) - pairs * math.log(2)


def merge_path(counts: Counts, *, split: bool) -> tuple[list[Tensor], Tensor]:
    """Which state each kind belongs to after 0, 1, 2, ... merges, each (C,), and the log evidence of these, (C,)."""
    counts = counts.of_frequent_items()
    kinds = len(counts.start)
    state = torch.arange(kinds)
    path, total = [state], [0.0]
    while len(counts.start) > 1:
        spread = _best_spread(counts)
        gain = _gains(counts, spread) + _kind_gains(counts.kind) + split * _exclusion(counts.held)
        best = int(gain.fill_diagonal_(-torch.inf).argmax())
        a, b = sorted((best // len(gain), best % len(gain)))
        state = torch.where(state == b, a, state)
        state = torch.where(state > b, state - 1, state)
        path.append(state)
        total.append(total[-1] + float(gain[a, b]))
        counts = _joined(counts, a, b)
    return path, torch.tensor(total)


def _join(table: Tensor, dim: int, a: int, b: int) -> Tensor:
    """``table`` with entry ``b`` of ``dim`` added to ``a``."""
    kept = [i for i in range(table.shape[dim]) if i != b]
    joined = table.index_select(dim, torch.tensor(kept)).clone()
    joined.select(dim, a).add_(table.select(dim, b))
    return joined


def _joined(counts: Counts, a: int, b: int) -> Counts:
    return Counts(
        moves=_join(_join(counts.moves, 1, a, b), 2, a, b),
        start=_join(counts.start, 0, a, b),
        click=_join(counts.click, 0, a, b),
        refusal=_join(counts.refusal, 0, a, b),
        kind=_join(counts.kind, 0, a, b),
        held=_join(counts.held.long(), 0, a, b) > 0,
    )


def _kind_gains(slates: Tensor) -> Tensor:
    """What a merge costs in the chance of the kinds within a state, which shows so many ``slates`` (Z,). (Z, Z)"""
    alone = torch.lgamma(slates + 1)
    return alone[:, None] + alone - torch.lgamma(slates[:, None] + slates + 1)


def _exclusion(held: Tensor) -> Tensor:
    """Log odds that two states are one, by the items they hold. (Z, Z)

    A system that shows several kinds of slates in one state has often split its items among them. As often as not,
    then, two kinds of one state hold no common item; two kinds of different states do so by chance.
    """
    apart, chance = _apart(held)
    return torch.where(apart, torch.logaddexp(torch.zeros_like(chance), -chance), 0.0) - math.log(2)


def _apart(held: Tensor) -> tuple[Tensor, Tensor]:
    """Which kinds hold no common item, and the log chance of that for items drawn at random. (Z, Z) bool, (Z, Z)"""
    items = held.shape[1]
    size = held.sum(1).double()
    shared = held.double() @ held.double().T
    left = items - size[:, None] - size
    # The chance that size_b items drawn at random are none of size_a.
    chance = torch.lgamma(items - size + 1)[:, None] + torch.lgamma(items - size + 1)
    chance = chance - torch.lgamma(left.clamp(min=0) + 1) - math.lgamma(items + 1)
    return (shared == 0) & (left >= 0), chance


def _best_spread(counts: Counts) -> Tensor:
    """Pseudo-counts (Z,) of the moves to each state, of those considered the likeliest."""
    overall = counts.moves.sum((0, 1)) + 1 / len(counts.start)
    overall = overall / overall.sum()
    rows = counts.moves.flatten(0, 1)
    return likeliest_prior(rows[rows.sum(1) > 0.5], overall)


def _gains(counts: Counts, prior: Tensor) -> Tensor:
    """What merging each two states adds to the evidence of moves, starts and answers. (Z, Z)"""
    columns = torch.cat([counts.moves.flatten(0, 1), counts.start[None]])  # (R, Z)
    columns = columns[columns.sum(1) > 0.5]
    column = (torch.lgamma(columns + prior) - torch.lgamma(prior)).sum(0)  # (Z,)
    clicked = counts.moves.sum(2) > _NONE  # (n, Z)
    rows = torch.zeros(clicked.shape, dtype=prior.dtype).masked_scatter(
        clicked, row_evidence(counts.moves[clicked], prior)
    )
    right = counts.click.sum() / (counts.click.sum() + counts.refusal.sum())
    gain = torch.zeros(len(prior), len(prior), dtype=prior.dtype)
    for z in range(len(prior)):
        both = prior[z:] + prior[z]
        into = (torch.lgamma(columns[:, z:] + columns[:, z : z + 1] + both) - torch.lgamma(both)).sum(0)
        into = into - column[z:] - column[z]
        gain[z, z:] = into + _row_gains(counts.moves, clicked, rows, prior, z) + _answer_gains(counts, float(right), z)
    return gain + gain.triu(1).T


def _row_gains(moves: Tensor, clicked: Tensor, rows: Tensor, prior: Tensor, z: int) -> Tensor:
    """What merging each state from ``z`` on with ``z`` adds to the evidence of the moves from it. (Z - z,)

    ``rows`` (n, Z): the evidence of each row of moves. Items that either state has no click on, by ``clicked`` (n, Z),
    add nothing.
    """
    item, other = (clicked[:, z:] & clicked[:, z : z + 1]).nonzero(as_tuple=True)
    found = row_evidence(moves[item, z + other] + moves[item, z], prior) - rows[item, z + other] - rows[item, z]
    return torch.zeros_like(prior[z:]).index_add(0, other, found)


def _answer_gains(counts: Counts, right: float, z: int) -> Tensor:
    """What merging each state from ``z`` on with ``z`` adds to the evidence of answers. (Z - z,)

    Items that ``z`` has no answer to add nothing.
    """
    met = counts.click[z] + counts.refusal[z] > _NONE
    click, refusal = counts.click[z:, met], counts.refusal[z:, met]
    alone = _answers(click, refusal, right)
    return _answers(click + click[0], refusal + refusal[0], right) - alone - alone[0]


def _answers(click: Tensor, refusal: Tensor, right: float) -> Tensor:
    """Log evidence of the candidates that were clicked and not, for each state. (Z, n) -> (Z,)"""
    a, b = 4 * right, 4 * (1 - right)
    return (log_beta(click + a, refusal + b) - log_beta(click.new_tensor(a), click.new_tensor(b))).sum(1)
