import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from irecgan.models.latent import LatentTables, LatentUserModel, with_new_items
from irecgan.policies.latent import LatentPolicy, LatentRanker, candidate_model, considered_items, plan_slates
from irecgan.policies.planning import fixed_slates
from irecgan.seeding import Streams
from irecgan.worlds.interface import Scene
from latent_users import path_chances, sessions_of, tables_of, tied


def planned(tables: LatentTables, size: int) -> LatentRanker:
    model = LatentUserModel(tables)
    plan = plan_slates(tables, size, Streams(0).torch("plan"))
    model.set_plan(plan.values, plan.slates)
    return LatentRanker(model)


def best_value(tables: LatentTables, belief: Tensor, clicks: int, size: int) -> float:
    """The best expected number of clicks within ``clicks`` steps: every slate and every answer tried."""
    if clicks == 0:
        return 0.0
    best = 0.0
    for slate in itertools.combinations(range(tables.items), size):
        weight, survival = tables.weight[:, slate], tables.survival[:, slate]
        chance = weight * survival / weight.sum(1, keepdim=True)  # (Z, K)
        worth = 0.0
        for i, item in enumerate(slate):
            joint = belief * chance[:, i]
            mass = float(joint.sum())
            worth += mass * (1 + best_value(tables, joint / mass @ tables.transition[item], clicks - 1, size))
        best = max(best, worth)
    return best


def ending(tables: LatentTables) -> LatentTables:
    """The last state is the end: nobody clicks there; every click leads nearer to it."""
    states = tables.states
    forward = torch.triu(torch.ones(states, states, dtype=torch.float64), 1)
    forward[-1, -1] = 1
    moves = tables.transition * forward
    survival = tables.survival.clone()
    survival[-1] = 1e-12
    return tied(replace(tables, survival=survival, transition=moves / moves.sum(2, keepdim=True)))


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_is_worth_what_the_best_of_all_ways_to_act_is(seed: int) -> None:
    """Three states, the last of which ends the session: at most two clicks."""
    tables = ending(tables_of(3, 4, 1, seed))
    tables = replace(tables, weight=torch.where(tables.weight < 1e-9, 0.5, tables.weight) * (torch.arange(5) < 4))
    plan = plan_slates(tables, 2, Streams(0).torch("plan"))
    assert float((tables.start @ plan.values.T).max()) == pytest.approx(
        best_value(tables, tables.start, 2, 2), rel=0.005
    )


def test_a_plan_is_worth_no_less_than_any_fixed_slate() -> None:
    tables = tied(tables_of(3, 8, 1))
    plan = plan_slates(tables, 3, Streams(0).torch("plan"))
    fixed = fixed_slates(candidate_model(tables, torch.arange(8), 0.0), 3)
    assert float((tables.start @ plan.values.T).max()) >= float((tables.start @ fixed.values.T).max())


def test_the_belief_is_that_of_all_paths() -> None:
    tables = tables_of(3, 4, 1)
    model = LatentUserModel(tables)
    session = [([0, 2, 1], 2), ([1, 3, 0], 3), ([0, 1, 2], 0)]
    state = model.start(1)
    for slate, click in session[:2]:
        state = model.advance(state, torch.tensor([slate]), torch.tensor([click]))
    flat = replace(tables, kind_share=torch.ones(3, 1, dtype=torch.float64))  # slates say nothing
    found = torch.zeros(3, dtype=torch.float64)
    for path, chance in path_chances(flat, session).items():
        last = float(tables.weight[path[2], 0] * tables.survival[path[2], 0] / tables.weight[path[2], [0, 1, 2]].sum())
        found[path[2]] += chance / last  # the chance of the path up to the third slate
    assert state.belief[0].tolist() == pytest.approx((found / found.sum()).tolist(), rel=1e-9)


def test_chances_of_an_outcome_sum_to_one_and_are_those_of_the_states() -> None:
    tables = tables_of(3, 5, 1)
    model = LatentUserModel(tables)
    outcome = model.outcome(model.start(2), torch.tensor([[0, 2, 4], [1, 3, 0]]))
    total = outcome.click.exp().sum(1) + outcome.stop.exp()
    assert total.tolist() == pytest.approx([1, 1], rel=1e-5)
    shares = tables.weight[:, 2] / tables.weight[:, [0, 2, 4]].sum(1)
    assert float(outcome.click[0, 1].exp()) == pytest.approx(float(tables.start @ (shares * tables.survival[:, 2])))


def test_the_planned_slate_stands_first_in_the_ranking() -> None:
    ranker = planned(tied(tables_of(3, 9, 1)), 3)
    state = ranker.start(2)
    state = ranker.advance(state, torch.tensor([1, 7]))
    slate = LatentPolicy(ranker, 3).propose(state, Scene(), Streams(0).torch("none"))
    assert ranker.scores(state).topk(3, dim=1).indices.tolist() == slate.tolist()
    candidates = torch.tensor([[8, 2, 9, 0], [3, 1, 4, 9]])  # 9: not known
    order = LatentPolicy(ranker, 3).propose(state, Scene(candidates=candidates), Streams(0).torch("none"))
    scores = ranker.scores(state)
    assert order[:, -1].tolist() == [9, 9]
    assert bool((scores.gather(1, order[:, :3]).diff(dim=1) <= 0).all())


def test_sessions_do_not_look_at_each_other() -> None:
    ranker = planned(tied(tables_of(3, 9, 1)), 3)
    state = ranker.start(3)
    state = ranker.advance(state, torch.tensor([1, 7, 9]))  # 9: an unknown item
    alone = ranker.advance(ranker.start(1), torch.tensor([7]))
    assert torch.allclose(state.take(torch.tensor([1])).belief, alone.belief)
    assert torch.allclose(state.belief.sum(1), torch.ones(3, dtype=torch.float64))
    assert torch.allclose(ranker.scores(state)[1:2], ranker.scores(alone))


def test_logged_lists_are_scored_whatever_their_size() -> None:
    ranker = planned(tied(tables_of(2, 6, 1)), 2)
    sessions = sessions_of([[([0, 3, 5, 1], 3), ([2, 4], -1)], [([1], -1)]], 6)
    batch = sessions.batch(torch.tensor([0, 1]))
    scores = ranker.score_slates(batch)
    assert scores.shape == (3, 4)
    first = ranker.scores(ranker.start(1))[0]
    assert scores[0].tolist() == pytest.approx(first[[0, 3, 5, 1]].tolist())
    assert float(scores[2, 0]) == pytest.approx(float(first[1]))


def test_large_catalogues_are_planned_on_their_most_attractive_items() -> None:
    tables = tied(tables_of(2, 600, 1))
    items = considered_items(tables, 5)
    assert len(items) == 200
    best = (tables.weight * tables.survival)[:, :-1].argmax(1)
    assert bool(torch.isin(best, items).all())


def test_items_that_came_later_are_like_unknown_ones() -> None:
    model = planned(tied(tables_of(2, 4, 1)), 2).model
    larger = with_new_items(model, 2)
    assert larger.catalogue_size == 6
    unknown = model.advance(model.start(1), torch.tensor([[0, 1]]), torch.tensor([4]))
    after = larger.advance(larger.start(1), torch.tensor([[0, 1]]), torch.tensor([6]))
    assert torch.equal(after.belief, unknown.belief)
    ranker = LatentRanker(larger)
    assert ranker.scores(ranker.start(1)).shape == (1, 6)
    assert set(ranker.slate(ranker.start(1))[0].tolist()) <= {0, 1, 2, 3}
