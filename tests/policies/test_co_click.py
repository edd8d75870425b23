import time

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.ragged import offsets
from irecgan.policies import co_click
from irecgan.policies.co_click import CoClick, Neighbours, co_clicks
from irecgan.policies.popularity import return_weighted_counts
from small_logs import small_log


def clicked(histories: list[list[int]], items: int) -> Sessions:
    """Sessions of these clicks; every step shows the whole catalogue, the end step nothing."""
    clicks = [click for history in histories for click in [*history, items]]
    sizes = torch.tensor([items if click < items else 0 for click in clicks])
    click = torch.tensor(clicks)
    return Sessions(
        step_start=offsets(torch.tensor([len(history) + 1 for history in histories])),
        item_start=offsets(sizes),
        item=torch.arange(items).repeat(int(sizes.sum()) // items),
        click=click,
        position=torch.where(click < items, click, NOTHING),
        reward=torch.zeros(len(clicks)),
        propensity=torch.full((len(clicks),), torch.nan),
        score=torch.ones(len(clicks)),
        catalogue_size=items,
    )


def dense(neighbours: Neighbours) -> Tensor:
    every = torch.arange(neighbours.catalogue_size)
    return neighbours.between(every[:, None], every)


HISTORIES = [[0, 1], [0, 1, 2], [0], [2, 2, 0], [3]]


def test_cosines_by_hand() -> None:
    """Items 0, 1, 2, 3 are clicked in 4, 2, 2 and 1 sessions; 0 with 1 in two, with 2 in two, 1 with 2 in one."""
    found = dense(co_clicks(clicked(HISTORIES, 4)))
    one, two = 2 / (4 * 2) ** 0.5, 1 / 2
    expected = torch.tensor([[0, one, one, 0], [one, 0, two, 0], [one, two, 1 / 2, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(found, expected)


def test_cosines_are_those_of_the_matrix_of_sessions_and_items() -> None:
    sessions = encode(small_log(300), Catalogue.from_log(small_log(300)))
    made = torch.zeros(len(sessions), sessions.catalogue_size)
    for s in range(len(sessions)):
        for item in sessions.click[sessions.step_start[s] : sessions.step_start[s + 1]].tolist():
            if item < sessions.catalogue_size:
                made[s, item] += 1
    once, norm = (made > 0).float(), (made > 0).float().sum(0).sqrt()
    expected = (once.T @ once).fill_diagonal_(0) + torch.diag((made > 1).float().sum(0))
    torch.testing.assert_close(dense(co_clicks(sessions)), expected / norm.clamp(min=1) / norm.clamp(min=1)[:, None])


def test_counting_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = encode(small_log(100), Catalogue.from_log(small_log(100)))
    whole = co_clicks(sessions)
    monkeypatch.setattr(co_click, "_BLOCK", 7)
    parts = co_clicks(sessions)
    for name in ("start", "item", "weight"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))


def test_only_the_most_related_are_kept_and_of_equals_the_smaller() -> None:
    found = co_clicks(clicked([[0, 1], [0, 1], [0, 3], [0, 2], [2]], 4), most=2)
    assert found.item[found.start[0] : found.start[1]].tolist() == [1, 3]  # 3 is clicked with 0 alone, 2 also without
    tied = co_clicks(clicked([[0, 1], [0, 2], [0, 3]], 4), most=2)
    assert tied.item[tied.start[0] : tied.start[1]].tolist() == [1, 2]


def test_a_log_whose_clicks_are_all_unknown_relates_nothing() -> None:
    assert len(co_clicks(clicked([[3, 3], [3]], 3)).item) == 0


def test_scores_decay_with_the_clicks_since() -> None:
    ranker = CoClick(co_clicks(clicked(HISTORIES, 4)), torch.zeros(2, 4), decay=0.5)
    state = ranker.start(1)
    for click in (2, 4, 1):  # 4 is unknown: it is related to nothing but a click since
        state = ranker.advance(state, torch.tensor([click]))
    one, two = 2 / (4 * 2) ** 0.5, 1 / 2
    expected = torch.tensor([[one + one / 4, two / 4, two + two / 4, 0]], dtype=torch.float64)
    torch.testing.assert_close(ranker.scores(state), expected)


def test_popularity_ranks_what_is_equally_related_and_all_before_the_first_click() -> None:
    counts = torch.tensor([[9.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 90.0]])
    ranker = CoClick(co_clicks(clicked([[0, 1], [0, 2], [3]], 4)), counts)
    start = ranker.start(2)
    assert ranker.scores(start)[0].argsort(descending=True).tolist() == [0, 3, 2, 1]
    state = ranker.advance(start, torch.tensor([0, 4]))
    assert ranker.scores(state).argsort(descending=True).tolist() == [[2, 1, 3, 0], [3, 2, 1, 0]]


def test_a_log_without_pairs_leaves_popularity() -> None:
    sessions = clicked([[0], [1], [1]], 3)
    ranker = CoClick(co_clicks(sessions), return_weighted_counts(sessions, 0.9, 3.0))
    scores = ranker.score_slates(sessions.batch(torch.arange(3)))
    assert scores.argsort(dim=1, descending=True, stable=True)[0].tolist() == [1, 0, 2]


@pytest.mark.parametrize("unknown", [False, True])
def test_logged_slates_score_as_the_ranker_scores_step_by_step(unknown: bool) -> None:
    log = small_log(80)
    catalogue = Catalogue.from_log(log)
    sessions = encode(log, Catalogue(catalogue.items[:-2]) if unknown else catalogue)
    ranker = CoClick(co_clicks(sessions), return_weighted_counts(sessions, 0.9, 3.0))
    batch = sessions.batch(torch.arange(len(sessions)))
    found = torch.zeros(batch.slate.shape, dtype=torch.float64)
    found[batch.real] = ranker.score_slates(batch)
    state = ranker.start(len(batch))
    for t in range(batch.slate.shape[1]):
        scores = torch.nn.functional.pad(ranker.scores(state), (0, 1), value=-torch.inf)  # an unknown item is last
        expected = scores.gather(1, batch.slate[:, t])
        assert torch.equal(found[:, t][batch.real[:, t]], expected[batch.real[:, t]])
        asked = ranker.scores_of(state, batch.slate[:, t]).where(batch.slate[:, t] < ranker.catalogue_size, -torch.inf)
        assert torch.equal(asked, expected)
        state = ranker.advance(state, batch.click[:, t])


def test_neither_padding_nor_company_changes_a_score() -> None:
    sessions = encode(small_log(40), Catalogue.from_log(small_log(40)))
    ranker = CoClick(co_clicks(sessions), return_weighted_counts(sessions, 0.9, 3.0))
    together = ranker.score_slates(sessions.batch(torch.arange(40)))
    alone = torch.zeros_like(together)
    for s, rows in enumerate(torch.arange(len(together)).split(sessions.steps.tolist())):
        scores = ranker.score_slates(sessions.batch(torch.tensor([s])))
        alone[rows, : scores.shape[1]] = scores
    assert torch.equal(together, alone)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.8, 1.0])
def test_clicks_of_long_ago_are_forgotten_and_change_no_score(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    history = torch.randint(6, (400,), generator=generator).tolist()
    sessions = clicked([history], 6)
    counts = torch.rand(2, 6, generator=generator)
    ranker, whole = (CoClick(co_clicks(sessions), counts, decay) for _ in range(2))
    whole.reach = len(history)
    states = [each.start(1) for each in (ranker, whole)]
    for click in history:
        states = [e.advance(s, torch.tensor([click])) for e, s in zip((ranker, whole), states, strict=True)]
    assert states[0].clicks.shape[1] == min(ranker.reach, len(history))
    assert torch.equal(ranker.scores(states[0]), whole.scores(states[1]))
    batch = sessions.batch(torch.tensor([0]))
    assert torch.equal(ranker.score_slates(batch), whole.score_slates(batch))


def test_states_are_copied_and_joined() -> None:
    ranker = CoClick(co_clicks(clicked(HISTORIES, 4)), torch.zeros(2, 4))
    start = ranker.start(2)
    state = ranker.advance(start, torch.tensor([0, 1]))
    assert torch.equal(ranker.scores(state.take(torch.tensor([1, 1]))), ranker.scores(state)[[1, 1]])
    assert torch.equal(ranker.scores(state.join([start])), torch.cat([ranker.scores(state), ranker.scores(start)]))


def test_large_logs_take_seconds() -> None:
    """40,000 items, 65,000 sessions of 4 clicks: 2 s on one core that is free."""
    generator = torch.Generator().manual_seed(0)
    steps, items, size = 65_000 * 4, 40_000, 10
    item = (items * torch.rand(steps * size, generator=generator) ** 3).long()
    sessions = Sessions(
        step_start=torch.arange(0, steps + 1, 4),
        item_start=torch.arange(0, steps * size + 1, size),
        item=item,
        click=item[::size],
        position=torch.zeros(steps, dtype=torch.int64),
        reward=torch.zeros(steps),
        propensity=torch.full((steps,), torch.nan),
        score=torch.ones(steps),
        catalogue_size=items,
    )
    begin = time.perf_counter()
    ranker = CoClick(co_clicks(sessions), return_weighted_counts(sessions, 0.9, 3.0))
    for rows in torch.arange(65_000).split(256):
        ranker.score_slates(sessions.batch(rows))
    assert time.perf_counter() - begin < 60
    assert len(ranker.neighbours.item) <= 100 * items


def test_looking_up_and_searching_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of unknown items too."""
    neighbours = co_clicks(clicked(HISTORIES, 4))
    every = torch.arange(5)
    looked_up = neighbours.between(every[:, None], every)
    monkeypatch.setattr(co_click, "_CELLS", 0)
    assert torch.equal(neighbours.between(every[:, None], every), looked_up)
    assert looked_up.count_nonzero() > 0
