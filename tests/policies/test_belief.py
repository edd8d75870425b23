from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from irecgan.errors import UserError
from irecgan.evaluation.online import play
from irecgan.models.latent import BeliefState
from irecgan.policies.belief import BeliefPolicy, QMDPPolicy
from irecgan.policies.planning import _backup, _improve, _onward, fixed_slates, posterior
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.worlds.candidates import CandidateModel
from irecgan.worlds.interface import Scene
from irecgan.worlds.mdp import MDPSpec, MDPWorld, draw_world
from irecgan.worlds.oracle import optimal_value
from irecgan.worlds.static import best_static_slate


def world_of(reward: NDArray[np.float64], transition: NDArray[np.float64], slate_size: int) -> MDPWorld:
    spec = MDPSpec(reward=reward.tolist(), transition=transition.tolist(), slate_size=slate_size, start_state=0)
    return MDPWorld(spec)


def policy_for(world: MDPWorld, beliefs: int = 64, rounds: int = 3) -> BeliefPolicy:
    return BeliefPolicy(world, Streams(0).torch("plan"), beliefs=beliefs, rounds=rounds)


def test_the_belief_is_the_share_of_sessions_in_each_state() -> None:
    """All sessions with the same clicks, counted by the state that they are in."""
    world = draw_world("dirichlet:0.5", states=3, items=3, slate_size=2, seed=0)
    generator, count = Streams(0).torch("count"), 400_000
    slate = torch.tensor([[0, 2]])
    belief, state = torch.tensor([[1.0, 0, 0]], dtype=torch.float64), world.start(count)
    for click in (0, 2):
        answer = world.respond(state, slate.expand(len(state.state), -1), generator)
        clicked = torch.where(answer.position == 0, 0, torch.where(answer.position == 1, 2, 9))
        state = state.take((clicked == click).nonzero().squeeze(1))
        here = len(state.state)
        state = world.advance(state, slate.expand(here, -1), torch.full((here,), click), generator)
        belief = posterior(CandidateModel.of_world(world), belief, slate, torch.tensor([click]))
    share = torch.bincount(state.state, minlength=3) / len(state.state)
    assert belief[0].tolist() == pytest.approx(share.tolist(), abs=4 * 0.5 / len(state.state) ** 0.5)


def test_an_impossible_click_teaches_nothing() -> None:
    world = world_of(np.array([[0.0, 0.5], [0.5, 0.5]]), np.full((2, 2, 2), 0.5), 2)
    certain = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert posterior(CandidateModel.of_world(world), certain, torch.tensor([[0, 1]]), torch.tensor([0])).tolist() == [
        [0.5, 0.5]
    ]


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(["softmax", "dirichlet:0.02", "dirichlet:0.3"]),
    st.integers(0, 10**6),
    st.integers(2, 4),
    st.integers(1, 3),
)
def test_it_lies_between_the_best_static_slate_and_the_oracle(law: str, seed: int, states: int, size: int) -> None:
    world = draw_world(law, states=states, items=5, slate_size=size, seed=seed)
    value = policy_for(world, beliefs=16, rounds=2).value
    assert value <= optimal_value(world).value * (1 + 1e-12)
    assert value >= best_static_slate(world).value * (1 - 1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_where_clicks_tell_the_state_it_equals_the_oracle(seed: int) -> None:
    drawn = draw_world("softmax", states=3, items=5, slate_size=2, seed=seed)
    to = np.eye(3)[np.arange(5) % 3]  # an item leads to one state, whatever the state before
    world = world_of(drawn.reward.numpy(), np.broadcast_to(to, (3, 5, 3)), 2)
    assert policy_for(world).value == pytest.approx(optimal_value(world).value, rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_in_sessions_of_two_clicks_it_is_close_to_the_best_of_all_history_policies(seed: int) -> None:
    """State 0, then 1 or 2, then 3 where nothing has reward: every way to act can be listed."""
    random = np.random.default_rng(seed)
    reward = np.vstack([random.random((3, 4)), np.zeros((1, 4))])
    transition = np.zeros((4, 4, 4))
    transition[0, :, 1] = random.random(4)
    transition[0, :, 2] = 1 - transition[0, :, 1]
    transition[1:, :, 3] = 1
    slates = [list(a) for a in combinations(range(4), 2)]

    def chance(state: int, slate: list[int]) -> NDArray[np.float64]:
        shown = reward[state, slate]
        return np.asarray(shown * shown / shown.sum())

    def second(click: int) -> float:
        return max(float(sum(transition[0, click, z] * chance(z, a).sum() for z in (1, 2))) for a in slates)

    best = max(sum(p * (1 + second(j)) for j, p in zip(a, chance(0, a), strict=True)) for a in slates)
    value = policy_for(world_of(reward, transition, 2)).value
    assert value <= best * (1 + 1e-12)
    assert value == pytest.approx(best, rel=1e-3)  # beliefs that no session met are not planned for


def test_it_earns_what_the_plan_promises_and_more_than_any_static_slate() -> None:
    world = draw_world("dirichlet:0.02", seed=0)
    policy = policy_for(world, beliefs=96)
    batch = rollout(policy, world, 10_000, max_length=1000, generator=Streams(1).torch("sessions"))
    total = batch.reward.sum(1).double()
    error = (total.std() / len(total) ** 0.5).item()
    assert total.mean().item() >= policy.value - 4 * error
    assert total.mean().item() <= optimal_value(world).value + 4 * error
    assert policy.value > 2 * best_static_slate(world).value


def test_it_never_reads_the_true_state() -> None:
    world = draw_world("softmax", states=3, items=6, slate_size=2, seed=0)
    policy = policy_for(world)
    state = policy.start(4)
    slates = [policy.propose(state, Scene(hidden), torch.Generator()) for hidden in (None, torch.tensor([0, 1, 2, 2]))]
    assert torch.equal(*slates)


def test_a_world_without_rewards_has_a_plan_worth_nothing() -> None:
    world = world_of(np.zeros((2, 3)), np.full((2, 3, 2), 0.5), 2)
    assert policy_for(world).value == 0


@pytest.mark.parametrize("swaps", [False, True])
@pytest.mark.parametrize("law", ["dirichlet:0.05", "softmax"])
def test_beliefs_are_searched_for_together_as_they_are_alone(law: str, swaps: bool) -> None:
    """A plain search for each belief by itself, in which every item is swapped for every other one."""
    model = CandidateModel.of_world(draw_world(law, states=4, items=12, slate_size=3, seed=2))
    draw = torch.Generator().manual_seed(1)
    onward = _onward(model, 5 * torch.rand(6, 4, dtype=torch.float64, generator=draw))
    belief = torch.rand(40, 4, dtype=torch.float64, generator=draw) ** 4
    belief = belief / belief.sum(1, keepdim=True)
    slate = torch.rand(40, 12, generator=draw).argsort(1)[:, :3]
    found = _backup(model, onward, belief, slate, swaps=swaps)
    for row in range(40):
        values, best = search_alone(model, onward, belief[row], slate[row], swaps=swaps)
        torch.testing.assert_close(found.values[row], values)
        assert sorted(found.slates[row].tolist()) == sorted(best.tolist())


def search_alone(
    model: CandidateModel, onward: Tensor, belief: Tensor, slate: Tensor, *, swaps: bool
) -> tuple[Tensor, Tensor]:
    """The values (m,) and the slate (K,) that linear steps and then swaps lead to from ``slate``, by loops."""
    values, after = appraised(model, onward, belief, slate)
    for swapping in (False, True)[: 1 + swaps]:
        for _ in range(6):
            total = model.weight[:, slate].sum(1)
            if swapping:
                best = -np.inf
                for k, j in product(range(len(slate)), range(model.items)):
                    if j not in slate.tolist():
                        tried = slate.clone()
                        tried[k] = j
                        added = torch.stack([onward[:, i, after[i]] for i in tried.tolist()], dim=1).sum(1)
                        worth = float(belief @ (added / model.weight[:, tried].sum(1)))
                        if worth > best:
                            best, other = worth, tried
            else:
                gain = torch.einsum("z,zjl->jl", belief / total, onward).amax(1)
                other = (gain - (belief / total * values) @ model.weight).topk(len(slate)).indices
            new, then = appraised(model, onward, belief, other)
            if float(belief @ new) <= float(belief @ values) * (1 + 1e-12):
                break
            slate, values, after = other, new, then
    return values, slate


def appraised(model: CandidateModel, onward: Tensor, belief: Tensor, slate: Tensor) -> tuple[Tensor, Tensor]:
    """The values (m,) of a slate (K,), and the pair that is best after a click on each item (n,)."""
    total = model.weight[:, slate].sum(1)
    after = torch.einsum("z,zjl->jl", belief / total, onward).argmax(1)
    added = torch.stack([onward[:, j, after[j]] for j in slate.tolist()], dim=1)
    return added.sum(1) / total, after


@pytest.mark.parametrize("at_once", [1, 7, 40])
def test_no_belief_is_served_worse_than_before_when_they_are_served_in_turn(at_once: int) -> None:
    """By fewer slates than there are beliefs, unless all are served at once."""
    model, generator = CandidateModel.of_world(draw_world("dirichlet:0.02", 6, 20, 4, seed=0)), Streams(0).torch("plan")
    plan = fixed_slates(model, 4)
    points = torch.rand(40, 6, dtype=torch.float64, generator=generator)
    points = points / points.sum(1, keepdim=True)
    for _ in range(3):
        before, plan = plan.choose(points)[1], _improve(model, plan, points, generator, at_once)
        after = plan.choose(points)[1]
        assert (after >= before * (1 - 1e-9)).all()
        assert after.mean() > before.mean()
    assert at_once == 40 or len(plan.values) < 30


def test_sessions_that_never_end_are_refused() -> None:
    with pytest.raises(UserError, match="never end"):
        policy_for(world_of(np.ones((1, 2)), np.ones((1, 2, 1)), 1))


def test_beliefs_are_copied_and_joined_row_by_row() -> None:
    state = BeliefState(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    assert state.take(torch.tensor([1])).join([state]).belief[:, 0].tolist() == [0.5, 1.0, 0.5]


@pytest.mark.parametrize("seed", [0, 1])
def test_without_a_plan_the_best_slate_is_shown_as_if_the_state_were_seen_from_the_next_click_on(seed: int) -> None:
    world = draw_world("dirichlet:0.3", states=3, items=6, slate_size=2, seed=seed)
    policy, values = QMDPPolicy(world), optimal_value(world).values
    belief = torch.rand(5, 3, dtype=torch.float64, generator=Streams(seed).torch("belief"))
    belief = belief / belief.sum(1, keepdim=True)
    onward = world.reward * (1 + world.transition @ values)  # (m, n)
    worths = []
    for slate in combinations(range(6), 2):
        reward = world.reward[:, slate]
        worths.append(belief @ ((reward * onward[:, slate]).sum(1) / reward.sum(1)))
    shown = policy.propose(BeliefState(belief), Scene(), Streams(0).torch("none"))
    index = [list(combinations(range(6), 2)).index(tuple(sorted(slate))) for slate in shown.tolist()]
    found = torch.stack(worths)[index, torch.arange(5)]
    begin = (belief @ world.reward).topk(2, dim=1).indices.sort(1).values.tolist()
    index = [list(combinations(range(6), 2)).index(tuple(slate)) for slate in begin]
    assert (found >= torch.stack(worths)[index, torch.arange(5)]).all()  # where the search begins
    assert (found >= torch.stack(worths).max(0).values * 0.98).all()


def test_a_filter_without_a_plan_earns_less_than_one_with() -> None:
    world = draw_world("dirichlet:0.02", states=5, items=50, slate_size=5, seed=1)
    results = [
        play(policy, world, 1_000, Streams(0)).cumulative_reward for policy in (policy_for(world), QMDPPolicy(world))
    ]
    assert results[1].mean < results[0].mean
    assert results[1].mean > 0.7 * results[0].mean
