"""Kinds of slates that are shown in one state, told by the items that they split among them."""

import numpy as np
import pytest
import torch

from irecgan.training.latent.conjugate import log_beta, row_evidence
from irecgan.training.latent.states import Counts, _gains, merge_path, paired_kinds

KINDS, ITEMS = 12, 50


def counts_of(held: torch.Tensor) -> Counts:
    """Kinds that are shown equally often, with clicks that foretell nothing and answers that are all alike."""
    kinds = len(held)
    click = 4.0 * held.double()
    moves = torch.full((held.shape[1], kinds, kinds), 0.05, dtype=torch.float64)
    start = torch.ones(kinds, dtype=torch.float64)
    return Counts(moves, start, click, click, kind=40 * start, held=held)


def random_lists(kinds: int, size: int, seed: int) -> torch.Tensor:
    draw = torch.rand(kinds, ITEMS, generator=torch.Generator().manual_seed(seed))
    return draw.argsort(1).argsort(1) < size


def paired_lists(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Kinds of 10 and of 15 items, without a common item within a pair; in any order. (C, n), (C,) the state of each"""
    generator = torch.Generator().manual_seed(seed)
    rank = torch.rand(KINDS // 2, ITEMS, generator=generator).argsort(1).argsort(1)
    held = torch.cat([rank < 10, (rank >= 10) & (rank < 25)])
    order = torch.randperm(KINDS, generator=generator)
    return held[order], torch.arange(KINDS // 2).repeat(2)[order]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_found_where_moves_tell_nothing(seed: int) -> None:
    held, true = paired_lists(seed)
    state = paired_kinds(counts_of(held))
    assert state is not None
    assert torch.equal(state[:, None] == state, true[:, None] == true)


@pytest.mark.parametrize("seed", range(5))
def test_lists_that_exclude_each_other_by_chance_are_no_pairs(seed: int) -> None:
    assert paired_kinds(counts_of(random_lists(KINDS, 10, seed))) is None


def test_moves_outweigh_a_chance_exclusion() -> None:
    """Of two kinds that both exclude a third, that which is entered and left alike is its pair."""
    held, true = paired_lists(0)
    counts = counts_of(held)
    law = torch.from_numpy(np.random.default_rng(1).dirichlet([0.1] * (KINDS // 2), size=(ITEMS, KINDS // 2)))
    moves = 20 * law[:, true][:, :, true] / 2
    state = paired_kinds(Counts(moves, counts.start, counts.click, counts.refusal, counts.kind, held))
    assert state is not None
    assert torch.equal(state[:, None] == state, true[:, None] == true)


def test_exclusion_counts_in_merges_only_where_kinds_are_split() -> None:
    held, _ = paired_lists(0)
    with_split, without = (merge_path(counts_of(held), split=split)[1] for split in (True, False))
    assert len(with_split) == len(without) == KINDS
    assert with_split[1] > without[1]


def test_gains_are_differences_of_the_evidence_of_joined_counts() -> None:
    generator = torch.Generator().manual_seed(4)
    moves = torch.randint(0, 4, (5, 4, 4), generator=generator).double()
    moves[0] = 0  # an item that nobody clicked
    moves[1, 2] = 0
    start, click, refusal = (
        torch.randint(1, 9, shape, generator=generator).double() for shape in ((4,), (4, 5), (4, 5))
    )
    counts = Counts(moves, start, click, refusal, kind=start, held=click > 0)
    prior = torch.tensor([0.3, 0.2, 0.9, 0.4], dtype=torch.float64)
    right = float(click.sum() / (click + refusal).sum())
    rows = torch.cat([moves.flatten(0, 1), start[None]])
    gains = _gains(counts, prior)
    assert torch.equal(gains, gains.T)
    for a, b in [(0, 1), (0, 3), (2, 1)]:
        kept = [z for z in range(4) if z not in (a, b)]
        into = torch.cat([rows[:, kept], rows[:, [a]] + rows[:, [b]]], dim=1)
        joined = torch.cat([prior[kept], prior[[a]] + prior[[b]]])
        expected = (row_evidence(into, joined) - row_evidence(rows, prior)).sum()
        together = row_evidence(moves[:, a] + moves[:, b], prior)
        expected += (together - row_evidence(moves[:, a], prior) - row_evidence(moves[:, b], prior)).sum()
        yes, no = (torch.stack([x[a], x[b], x[a] + x[b]]) + 4 * r for x, r in ((click, right), (refusal, 1 - right)))
        answers = log_beta(yes, no) - log_beta(*torch.tensor([4 * right, 4 * (1 - right)]).double())
        expected += (torch.tensor([-1, -1, 1.0])[:, None] * answers).sum()
        assert float(gains[a, b]) == pytest.approx(float(expected))
