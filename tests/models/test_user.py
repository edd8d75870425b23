import pytest
import torch
from torch.nn.functional import logsigmoid

from irecgan.models.recurrent import Size, initialise
from irecgan.models.rewards import RewardLaw
from irecgan.models.user import RecurrentUserModel, Stop, outcome_log_probabilities
from irecgan.policies.logging import RandomPolicy
from irecgan.rollout import rollout
from irecgan.worlds.learned import LearnedWorld

SIZE = Size(items=6, embedding=4, units=5, layers=2)


def model(stop: Stop = "history", law: RewardLaw | None = None) -> RecurrentUserModel:
    user = RecurrentUserModel(SIZE, stop, law)
    initialise(user, torch.Generator().manual_seed(0))
    return user.requires_grad_(requires_grad=False)


def test_clicks_of_equation_1_by_hand() -> None:
    scores, stop = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([0.5])
    shown = torch.tensor([[True, True, False]])
    p = outcome_log_probabilities(scores, stop, shown, "history").exp()[0]
    share = torch.tensor([1.0, 2.0]).softmax(0)
    stay = 1 - torch.sigmoid(torch.tensor(0.5))
    torch.testing.assert_close(p[:2], stay * share)
    assert p[2] == 0
    torch.testing.assert_close(p[3], 1 - stay)
    together = outcome_log_probabilities(scores, stop, shown, "slate").exp()[0]
    torch.testing.assert_close(together[[0, 1, 3]], torch.tensor([1.0, 2.0, 0.5]).softmax(0))


@pytest.mark.parametrize("stop", ["history", "slate"])
def test_chances_sum_to_one(stop: Stop) -> None:
    user = model(stop)
    outcome = user.outcome(user.start(3), torch.tensor([[0, 1, 2]] * 3))
    torch.testing.assert_close(outcome.click.exp().sum(1) + outcome.stop.exp(), torch.ones(3))


def test_an_end_without_a_slate_teaches_when_sessions_end() -> None:
    nothing = torch.zeros(1, 0)
    stop = torch.tensor([0.3])
    log_p = outcome_log_probabilities(nothing, stop, nothing.bool(), "history")
    torch.testing.assert_close(log_p, logsigmoid(stop)[:, None])
    masked = outcome_log_probabilities(torch.zeros(1, 2), stop, torch.zeros(1, 2, dtype=torch.bool), "history")
    torch.testing.assert_close(masked[:, -1], logsigmoid(stop))


def test_scores_of_equation_1_and_rewards_of_equation_2_by_hand() -> None:
    user = model()
    state = user.start(1)
    s, table = state.top[0], user.encoder.embedding.weight
    slate = torch.tensor([[4, 1]])
    outcome = user.outcome(state, slate)
    v = table[slate[0]] @ (user.click.weight @ s + user.click.bias)
    torch.testing.assert_close(outcome.click[0] - outcome.click[0].logsumexp(0), v.log_softmax(0))
    r = torch.sigmoid(table[slate[0]] @ (user.reward.weight @ s + user.reward.bias))
    torch.testing.assert_close(outcome.reward[0], r)
    real = model(law=RewardLaw("real", shift=2.0, scale=3.0))
    score = table[slate[0]] @ (user.reward.weight @ s + user.reward.bias)
    torch.testing.assert_close(real.outcome(real.start(1), slate).reward[0], 2 + 3 * score)


@pytest.mark.parametrize("stop", ["history", "slate"])
def test_whole_sessions_and_single_steps_agree(stop: Stop) -> None:
    user = model(stop)
    batch = rollout(
        RandomPolicy(6, 3), LearnedWorld(user), 20, max_length=4, generator=torch.Generator().manual_seed(1)
    )
    whole = user(batch).outcome
    rows = torch.arange(len(whole))
    for t in range(batch.real.shape[1]):
        state = user.start(len(batch))
        for earlier in range(t):
            state = user.advance(state, batch.slate[:, earlier], batch.click[:, earlier])
        here = batch.real[:, t]
        step = user.outcome(state, batch.slate[:, t].clamp(max=5))
        expected = torch.cat([step.click, step.stop[:, None]], dim=1)[here]
        at = rows[batch.real.nonzero()[:, 1] == t]
        torch.testing.assert_close(whole[at], expected)


def test_unknown_items_have_the_zero_embedding() -> None:
    user = model()
    assert not user.encoder.embedding(torch.tensor([SIZE.items])).any()
    after = user.advance(user.start(1), torch.tensor([[0]]), torch.tensor([SIZE.items]))
    assert not torch.allclose(after.top, user.start(1).top)


def test_rewards_are_drawn_by_their_law() -> None:
    generator = torch.Generator().manual_seed(0)
    binary = RewardLaw().sample(torch.full((4_000,), 0.3), generator)
    assert set(binary.unique().tolist()) == {0, 1}
    assert float(binary.mean()) == pytest.approx(0.3, abs=0.03)
    real = RewardLaw("real", 1.0, 2.0).sample(torch.full((4_000,), 5.0), generator)
    assert float(real.mean()) == pytest.approx(5, abs=0.15)
    assert float(real.std()) == pytest.approx(2, abs=0.1)


def test_the_law_is_read_from_the_rewards() -> None:
    assert RewardLaw.of(torch.tensor([0.0, 1.0, 1.0])).kind == "binary"
    law = RewardLaw.of(torch.tensor([1.0, 3.0]))
    assert (law.kind, law.shift, law.scale) == ("real", 2.0, 1.0)
    assert RewardLaw.of(torch.tensor([7.0, 7.0])) == RewardLaw("constant", 7.0)


def test_a_reward_that_is_always_the_same_is_predicted_and_drawn_exactly_and_moves_nothing() -> None:
    law, score = RewardLaw.of(torch.full((9,), 0.1)), torch.tensor([-3.0, 0.0, 40.0], requires_grad=True)
    mean = law.mean(score)
    assert mean.tolist() == [pytest.approx(0.1)] * 3
    assert torch.equal(law.sample(mean, torch.Generator().manual_seed(0)), mean)
    assert law.log_probability(score, torch.tensor([0.1, 0.1, 5.0])).tolist() == [0, 0, 0]
    assert law.standardise(mean).tolist() == [0, 0, 0]
