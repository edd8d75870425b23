import math

import pytest
import torch

from irecgan.data.batch import NOTHING, Sessions
from irecgan.training.latent.em import evidence, run_em
from irecgan.training.latent.expectation import expect, kind_log_chances
from irecgan.training.latent.maximisation import log_prior, maximise
from irecgan.training.latent.priors import flat_priors
from irecgan.training.latent.trajectories import Trajectories
from latent_users import path_chances, sessions_of, tables_of, tied

LOGGED = [
    [([0, 2], 2), ([1, 3], 3), ([0, 1], NOTHING)],
    [([3, 1, 0], NOTHING)],
    [([1, 2], 1), ([], NOTHING)],
    [([2, 0], 0), ([2, 3], 2), ([0, 1], 1), ([3, 2], NOTHING)],
]


@pytest.mark.parametrize("states", [1, 2, 3])
def test_the_likelihood_and_the_expected_counts_are_those_of_all_paths(states: int) -> None:
    tables = tables_of(states, 4, 2)
    steps = Trajectories.of(sessions_of(LOGGED, 4))
    found = expect(tables, steps, kind_log_chances(tables, steps))
    moves, start, click = torch.zeros(5, states, states), torch.zeros(states), torch.zeros(states, 5)
    total = 0.0
    for session in LOGGED:
        paths = path_chances(tables, session)
        whole = sum(paths.values())
        total += math.log(whole)
        for path, chance in paths.items():
            start[path[0]] += chance / whole
            for t, (_, item) in enumerate(session[:-1]):
                moves[item, path[t], path[t + 1]] += chance / whole
                click[path[t], item] += chance / whole
    assert found.log_likelihood == pytest.approx(total, rel=1e-12)
    assert found.start.tolist() == pytest.approx(start.tolist(), rel=1e-5)
    assert found.moves.flatten().tolist() == pytest.approx(moves.flatten().tolist(), abs=1e-6)
    assert found.click.flatten().tolist() == pytest.approx(click.flatten().tolist(), abs=1e-6)
    assert float(found.state.sum()) == pytest.approx(sum(map(len, LOGGED)))


def test_the_evidence_of_slates_and_of_answers_makes_up_the_likelihood() -> None:
    tables = tables_of(3, 4, 2, seed=1)
    steps = Trajectories.of(sessions_of(LOGGED, 4))
    slate, answer = evidence(tables, steps)
    whole = sum(math.log(sum(path_chances(tables, session).values())) for session in LOGGED)
    assert float((slate + answer).sum()) == pytest.approx(whole, rel=1e-12)
    first = Trajectories.of(sessions_of([[([0, 2], NOTHING)]], 4))
    alone, _ = evidence(tables, first)
    chance = torch.sigmoid(tables.kind_logit[:, :-1])
    held = torch.stack([chance[:, 0], 1 - chance[:, 1], chance[:, 2], 1 - chance[:, 3]]).prod(0)
    assert float(alone[0]) == pytest.approx(math.log(float(tables.start @ tables.kind_share @ held)))


@pytest.mark.parametrize("seed", range(3))
def test_a_step_of_em_never_lowers_what_it_climbs(seed: int) -> None:
    tables = tied(tables_of(3, 4, 2, seed))
    steps = Trajectories.of(sessions_of(LOGGED * 3, 4))
    priors, kinds, before = flat_priors(3, 4), kind_log_chances(tables, steps), -math.inf
    for _ in range(30):
        found = expect(tables, steps, kinds)
        now = found.log_likelihood + log_prior(tables, priors)
        assert now >= before - 1e-9
        before = now
        tables = maximise(tables, found, priors, ends_logged=True)


def test_the_order_and_the_company_of_sessions_change_nothing() -> None:
    tables = tables_of(3, 4, 2)
    steps, turned = (Trajectories.of(sessions_of(part, 4)) for part in (LOGGED, LOGGED[::-1]))
    one, other = (expect(tables, part, kind_log_chances(tables, part)) for part in (steps, turned))
    for name, value in vars(one).items():
        if name != "state":
            assert torch.allclose(torch.as_tensor(value), torch.as_tensor(vars(other)[name])), name


def test_without_logged_ends_users_leave_with_one_chance_whatever_is_shown() -> None:
    logged = [[([0, 2], 2), ([], NOTHING)], [([1, 3], 3), ([0, 1], 0), ([], NOTHING)]]
    steps = Trajectories.of(sessions_of(logged * 20, 4))
    tables = run_em(tables_of(1, 4, 1), steps, flat_priors(1, 4), iterations=10, ends_logged=False)
    # 60 clicks, 40 ends, and half a pseudo-count of each.
    assert float(tables.leave[0]) == pytest.approx(40.5 / 101)
    assert tables.survival[0, :4].tolist() == pytest.approx([60.5 / 101] * 4)


def test_an_unknown_click_teaches_nothing_of_the_state_that_it_left() -> None:
    sessions = sessions_of([[([0, 1], 0), ([2, 3], NOTHING)]], 4)
    strange = Sessions(**(vars(sessions) | {"click": torch.tensor([4, 4])}))
    tables = tables_of(2, 4, 1)
    steps = Trajectories.of(strange)
    slate, answer = evidence(tables, steps)
    assert float(answer[0]) == pytest.approx(0.0, abs=1e-12)
    assert bool(torch.isfinite(slate + answer).all())


def test_leaving_a_slate_of_unknown_items_alone_says_nothing() -> None:
    sessions = sessions_of([[([0, 1], 0), ([2, 3], NOTHING)], [([2, 3], NOTHING)]], 4)
    strange = Sessions(**(vars(sessions) | {"item": torch.where(sessions.item > 1, 4, sessions.item)}))
    tables = tables_of(2, 4, 1)
    steps = Trajectories.of(strange)
    answer = evidence(tables, steps)[1]  # the first steps, the longer session's before the other's, then the second
    assert answer.tolist()[1:] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert float(answer[0]) < -0.1
    found = expect(tables, steps, kind_log_chances(tables, steps))
    assert not found.showing[:, 4].any()
    assert not found.candidate[:, 4].any()
