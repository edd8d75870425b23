"""How well clicks are foretold within lists, against chances worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.training.choice.foretold import Foretold, foretold
from latent_users import path_chances, sessions_of, tables_of, tied


def by_item(batch: SessionBatch) -> Tensor:
    """Log-odds log 1, log 2, log 3, ... of the items. (M, K)"""
    return (batch.slate[batch.real] + 1.0).log()


SESSIONS = [[([0, 1], 1), ([2, 3], NOTHING)], [([0, 2], 0)], [([1, 2, 3], 3), ([0, 1], 0)]]


def test_chances_are_within_the_list_given_the_past_and_that_something_was_clicked() -> None:
    users = tied(tables_of(states=2, items=4, kinds=3))

    def total(session: list[tuple[list[int], int]]) -> float:
        return sum(path_chances(users, session).values())

    def own(session: list[tuple[list[int], int]]) -> float:
        """Of the last click of ``session``."""
        slate = session[-1][0]
        return math.log(total(session) / sum(total([*session[:-1], (slate, item)]) for item in slate))

    found = foretold(users, by_item, sessions_of(SESSIONS, items=4))
    first, second, third = SESSIONS
    expected = [own(first[:1]), own(second), own(third[:1]) + own(third)]
    assert found.by_users.tolist() == pytest.approx(expected)
    assert found.by_lists.tolist() == pytest.approx([math.log(2 / 3), math.log(1 / 4), math.log(4 / 9 / 3)])
    assert found.clicks.tolist() == [1, 1, 2]


def of(gain: Tensor) -> Foretold:
    return Foretold(torch.zeros_like(gain), gain, torch.ones_like(gain))


def test_lists_tell_more_only_where_the_gain_is_large_and_certain() -> None:
    sign = torch.tensor([1.0, -1.0]).repeat(50)
    assert of(0.5 + sign).lists_tell_more
    assert not of(0.03 + 0 * sign).lists_tell_more  # certain, but small
    assert not of(0.2 + sign).lists_tell_more  # large, but not certain
    assert not of(-0.5 + sign).lists_tell_more
    assert not of(torch.tensor([9.0])).lists_tell_more
    assert not Foretold(*torch.zeros(3, 5)).lists_tell_more
