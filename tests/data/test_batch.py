from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from irecgan.data.batch import NOTHING, Sessions
from irecgan.data.sparse import SparseRows
from random_sessions import FIELDS

SHAPES = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=5), min_size=1, max_size=8)


def make(shapes: list[list[int]], items: int = 9) -> Sessions:
    """Sessions whose steps have the given slate sizes; the first item of a slate is clicked."""
    sizes = [k for session in shapes for k in session]
    slates = [[(i * 3 + j) % items for j in range(k)] for i, k in enumerate(sizes)]
    looks = sum(k % 3 for k in sizes)
    click = torch.tensor([slate[0] if slate else items for slate in slates])
    return Sessions(
        step_start=torch.tensor([0, *map(len, shapes)]).cumsum(0),
        item_start=torch.tensor([0, *sizes]).cumsum(0),
        item=torch.tensor([i for slate in slates for i in slate], dtype=torch.int64),
        click=click,
        position=torch.where(click < items, 0, NOTHING),
        reward=torch.arange(len(sizes), dtype=torch.float32),
        propensity=torch.full((len(sizes),), 0.5),
        score=torch.ones(len(sizes)),
        catalogue_size=items,
        touched=torch.tensor([i % (k + 1) - 1 for i, k in enumerate(sizes)]),
        looks=SparseRows(
            torch.tensor([0, *(k % 3 for k in sizes)]).cumsum(0), torch.arange(looks) % items, torch.ones(looks)
        ),
        visits=torch.arange(sum(sizes), dtype=torch.int32),
    )


def assert_same_looks(one: Sessions, other: Sessions) -> None:
    assert one.looks is not None
    assert other.looks is not None
    for name in ("start", "feature", "weight"):
        assert torch.equal(getattr(one.looks, name), getattr(other.looks, name)), name


@given(SHAPES)
def test_a_batch_loses_nothing(shapes: list[list[int]]) -> None:
    sessions = make(shapes)
    back = Sessions.from_batch(sessions.batch(torch.arange(len(sessions))))
    for name in FIELDS:
        assert torch.equal(getattr(back, name).long(), getattr(sessions, name).long()), name
    assert_same_looks(back, sessions)


@given(SHAPES, st.randoms(use_true_random=False))
def test_select_is_batch_of_rows(shapes: list[list[int]], random: object) -> None:
    sessions = make(shapes)
    rows = torch.tensor([len(shapes) - 1, 0])
    assert torch.equal(Sessions.from_batch(sessions.batch(rows)).item, sessions.select(rows).item)


@given(SHAPES, SHAPES)
def test_concat(a: list[list[int]], b: list[list[int]]) -> None:
    whole = Sessions.concat([make(a), make(b)])
    second, expected = whole.select(torch.arange(len(a), len(a) + len(b))), make(b).touched
    assert torch.equal(second.item, make(b).item)
    assert second.touched is not None
    assert expected is not None
    assert torch.equal(second.touched, expected)
    assert second.visits is not None
    assert second.visits.tolist() == list(range(len(second.item)))
    assert_same_looks(second, make(b))


def test_sessions_from_no_log_know_nothing_touched_nor_does_what_is_joined_with_them() -> None:
    made = replace(make([[2, 1]]), touched=None)
    assert made.batch(torch.tensor([0])).touched is None
    assert made.select(torch.tensor([0])).touched is None
    assert Sessions.from_batch(made.batch(torch.tensor([0]))).touched is None
    assert Sessions.concat([make([[3]]), made]).touched is None


def test_logged_touches_stay_beside_sessions_that_have_none() -> None:
    logged, made = make([[4]]), replace(make([[2, 1]]), looks=None, visits=None)
    batch = made.batch(torch.tensor([0]))
    assert batch.looks is None
    assert batch.visits is None
    assert Sessions.concat([made, made]).looks is None
    both = Sessions.concat([made, logged])
    assert both.looks is not None
    assert both.visits is not None
    assert both.visits.tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert both.looks.sizes.tolist() == [0, 0, 1]
