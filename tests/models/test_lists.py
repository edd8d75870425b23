import torch

from irecgan.models.lists import ListUserModel
from irecgan.models.terms import Terms
from irecgan.policies.lists import ListRanker
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import rollout
from irecgan.worlds.learned import LearnedWorld
from random_sessions import ITEMS, random_sessions, statistics_of


def linear(names: tuple[str, ...] = ("rank", "repeat")) -> ListUserModel:
    """A rank counts its number, so that later is better; a click before takes 100."""
    model = ListUserModel(ITEMS, Terms(names))  # type: ignore[arg-type]
    model.attach(statistics_of(random_sessions(0)))
    terms = model.terms
    assert terms is not None
    with torch.no_grad():
        if "rank" in names:
            terms.weight[terms.places["rank"]] = torch.arange(30.0)
        terms.weight[terms.places["clicked before"]] = -100.0
    return model


def test_outcome_by_hand() -> None:
    """Three items of scores 0, 1, 2; a session ends with chance 1/4."""
    model = linear()
    model.set_averages(0.25, 0.5)
    found = model.outcome(model.start(2), torch.tensor([[0, 1, 2], [3, 1, 2]]), ranked=True)
    expected = 0.75 * torch.tensor([0.0, 1.0, 2.0]).softmax(0)
    torch.testing.assert_close(found.click.exp(), expected.expand(2, 3))
    torch.testing.assert_close(found.stop.exp(), torch.tensor([0.25, 0.25]))
    assert found.reward.tolist() == [[0.5] * 3] * 2


def test_whoever_makes_the_order_does_not_read_it() -> None:
    model = linear()
    found = model.outcome(model.start(1), torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(found.click.exp(), torch.full((1, 3), 0.5 / 3))


def test_clicks_are_remembered() -> None:
    ranker, clicked = ListRanker(linear()), torch.tensor([3])
    state = ranker.advance(ranker.start(1), clicked)
    assert ranker.scores(state)[0].tolist() == [0, 0, 0, -100, 0, 0, 0]
    assert ranker.scores_of(state, torch.tensor([[3, 5]])).tolist() == [[-100, 0]]
    ordered = ListRanker(linear(), ranked=True)
    assert ordered.scores_of(state, torch.tensor([[5, 3, ITEMS]])).tolist() == [[0, -99, 2]]


def test_logged_lists_are_scored_as_they_are_step_by_step() -> None:
    sessions = random_sessions(5, sessions=1)
    model, batch = linear(), sessions.batch(torch.arange(1))
    whole, state = model.score_slates(batch), model.start(1)
    for t in range(batch.slate.shape[1]):
        shown = batch.shown[0, t]
        here = model.scores_of(state, batch.slate[:, t, shown], ranked=True)
        torch.testing.assert_close(whole[t, shown][None], here)
        state = model.advance(state, batch.slate[:, t], batch.click[:, t], batch.reward[:, t])


def test_an_agent_can_meet_such_users() -> None:
    """They never click an item again, and half of the sessions end at each step."""
    model = linear(("repeat",))
    policy, world = RankingPolicy(ListRanker(model), 3, sampled=True), LearnedWorld(model)
    batch = rollout(policy, world, 200, max_length=4, generator=torch.Generator().manual_seed(0), final_slates=True)
    lengths = batch.clicked.sum(1).float()
    assert 0.7 < lengths.mean() < 1.2
    for session in range(200):
        clicks = batch.click[session][batch.clicked[session]].tolist()
        assert len(set(clicks)) == len(clicks)
