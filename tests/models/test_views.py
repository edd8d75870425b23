"""Two accounts of what users see, a naive third one, and a log without the session that asks."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.models.batch_view import BatchView
from irecgan.models.memory import Memory, StepView
from irecgan.models.views import DECAY, RECENT, View
from random_sessions import ITEMS, random_sessions, statistics_of, with_looks

FIELDS = (
    "touched",
    "last",
    "clicks",
    "rewarded",
    "seen",
    "same",
    "popularity",
    "shown",
    "related",
    "related_to_touched",
    "looks",
    "visits",
)


def all_of(sessions: Sessions) -> SessionBatch:
    return sessions.batch(torch.arange(len(sessions)))


def fields(view: View) -> dict[str, Tensor]:
    return {name: getattr(view, name) for name in FIELDS}


@pytest.mark.parametrize("seed", range(8))
def test_steps_alone_see_what_whole_sessions_see(seed: int) -> None:
    sessions = random_sessions(seed)
    statistics, batch = statistics_of(random_sessions(seed + 100, 40)), all_of(sessions)
    wide = {
        name: torch.zeros((*batch.real.shape, *v.shape[1:]), dtype=v.dtype)
        for name, v in fields(BatchView(batch, statistics)).items()
    }
    for name, values in fields(BatchView(batch, statistics)).items():
        wide[name][batch.real] = values
    memory = Memory.start(len(batch), ITEMS)
    for t in range(batch.slate.shape[1]):
        here = batch.real[:, t]
        view = StepView(memory, batch.slate[:, t], statistics, ranked=True)
        for name, values in fields(view).items():
            torch.testing.assert_close(values[here], wide[name][:, t][here], msg=name)
        memory = memory.after(batch.slate[:, t], batch.click[:, t], batch.reward[:, t])


@pytest.mark.parametrize("seed", range(4))
def test_a_memory_survives_taking_and_joining_of_rows(seed: int) -> None:
    statistics, batch = statistics_of(random_sessions(seed + 100)), all_of(random_sessions(seed))
    whole = Memory.start(len(batch), ITEMS)
    short, rows = Memory.start(4, ITEMS), torch.tensor([2, 0])
    for t in range(2):
        whole = whole.after(batch.slate[:, t], batch.click[:, t], batch.reward[:, t])
    mixed = short.join([whole.take(rows)])
    slate = batch.slate[:6, 2].clone()
    slate[1] = ITEMS  # of which nothing is known, so that nobody can say that it was shown before
    view, alone = (StepView(m, s, statistics, ranked=True) for m, s in ((mixed, slate), (whole.take(rows), slate[4:])))
    for name in FIELDS:
        assert torch.equal(getattr(view, name)[4:], getattr(alone, name)), name
    fresh = StepView(Memory.start(4, ITEMS), slate[:4], statistics, ranked=True)
    for name in ("clicks", "rewarded", "seen", "related", "last", "same"):
        assert torch.equal(getattr(view, name)[:4], getattr(fresh, name)), name


@pytest.mark.parametrize("seed", range(4))
def test_counts_of_the_past_are_those_of_a_plain_loop(seed: int) -> None:
    sessions = random_sessions(seed)
    statistics, batch = statistics_of(random_sessions(seed + 100, 40)), all_of(sessions)
    view = BatchView(batch, statistics)
    row = 0
    for b in range(len(batch)):
        clicks: list[int] = []
        rewarded: list[int] = []
        slates: list[list[int]] = []
        for t in range(int(batch.steps[b])):
            slate = batch.slate[b, t].tolist()
            for k, item in enumerate(slate):
                known = item < ITEMS
                assert view.clicks[row, k] == known * clicks.count(item)
                assert view.rewarded[row, k] == known * rewarded.count(item)
                assert view.seen[row, k] == known * sum(item in earlier for earlier in slates)
                assert bool(view.last[row, k]) == (known and clicks[-1:] == [item])
                cosines = [float(statistics.related.between(torch.tensor(c), torch.tensor(item))) for c in clicks]
                fading = sum(cosine * DECAY**lag for lag, cosine in enumerate(reversed(cosines)))
                assert float(view.related[row, k]) == pytest.approx(fading, abs=1e-6)
            assert bool(view.same[row]) == (slates[-1:] == [slate] and min(slate) < ITEMS)
            click = int(batch.click[b, t])
            clicks.append(click)
            slates.append(slate)
            if batch.reward[b, t] > 0:
                rewarded.append(click)
            row += 1
    assert row == len(view.same)


@pytest.mark.parametrize("seed", range(4))
def test_touches_of_the_past_are_those_of_a_plain_loop(seed: int) -> None:
    statistics, batch = statistics_of(random_sessions(seed + 100, 40)), all_of(with_looks(random_sessions(seed), seed))
    view, row = BatchView(batch, statistics), 0
    assert batch.looks is not None
    for b in range(len(batch)):
        past: list[int] = []
        looks: list[int] = []
        for t in range(int(batch.steps[b])):
            touched = batch.looks.item[b][batch.looks.step[b] == t].tolist()
            past, looks = past + touched, looks + touched
            for k, item in enumerate(batch.slate[b, t].tolist()):
                assert view.looks[row, k] == (item < ITEMS) * looks.count(item)
                cosines = [float(statistics.related.between(torch.tensor(c), torch.tensor(item))) for c in past]
                fading = sum(cosine * DECAY**lag for lag, cosine in enumerate(reversed(cosines[-RECENT:])))
                assert float(view.related_to_touched[row, k]) == pytest.approx(fading, abs=1e-6)
            past.append(int(batch.click[b, t]))
            row += 1
    assert row == len(view.same)


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_own_session_is_left_out_as_if_the_log_did_not_have_it(seed: int, touched: bool) -> None:
    log = random_sessions(seed, 15)
    log = with_looks(log, seed) if touched else log
    inside = BatchView(all_of(log), statistics_of(log), own=True)
    start = 0
    for s in range(len(log)):
        others = log.select(torch.tensor([r for r in range(len(log)) if r != s]))
        outside = BatchView(all_of(log.select(torch.tensor([s]))), statistics_of(others))
        end = start + len(outside.same)
        for name in ("popularity", "shown", "related", "related_to_touched"):
            found, expected = getattr(inside, name)[start:end], getattr(outside, name)
            torch.testing.assert_close(found[:, : expected.shape[1]], expected, atol=1e-5, rtol=1e-5)
        start = end
    assert not torch.equal(inside.popularity, BatchView(all_of(log), statistics_of(log)).popularity)


def test_generated_sessions_are_in_no_order_and_were_never_counted() -> None:
    log = random_sessions(1)
    batch, statistics = all_of(log), statistics_of(log)
    marks = torch.arange(len(batch)) % 2 == 0
    view = BatchView(replace(batch, generated=marks), statistics, own=True)
    logged, made = BatchView(batch, statistics, own=True), BatchView(batch, statistics)
    mine = marks[:, None].expand(batch.real.shape)[batch.real]
    assert torch.equal(view.ranked, ~mine)
    for name in ("popularity", "shown", "related"):
        assert torch.equal(getattr(view, name)[mine], getattr(made, name)[mine]), name
        assert torch.equal(getattr(view, name)[~mine], getattr(logged, name)[~mine]), name
    assert not view.rewarded[mine].any()


def test_padding_and_company_change_nothing() -> None:
    log = with_looks(random_sessions(3), 3)
    statistics, whole, start = statistics_of(log), BatchView(all_of(log), statistics_of(log), own=True), 0
    for s in range(len(log)):
        alone = BatchView(log.batch(torch.tensor([s])), statistics, own=True)
        rows, width = slice(start, start + len(alone.same)), alone.last.shape[1]
        for name in FIELDS:
            found, expected = getattr(whole, name)[rows], getattr(alone, name)
            assert torch.equal(found[:, :width] if found.ndim > 1 else found, expected), name
        start = rows.stop
