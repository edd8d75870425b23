import pytest
import torch

from irecgan.data.batch import Sessions
from irecgan.models.agent import Agent
from irecgan.models.discriminator import Discriminator, JudgeState
from irecgan.models.recurrent import RecurrentState, Size, initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.policies.presented import PresentedOrder
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import Stage, rollout, scored_rollout
from irecgan.worlds.learned import LearnedWorld
from small_shops import small_shop

SIZE = Size(items=7, embedding=4, units=6, layers=2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def models() -> tuple[Agent, RecurrentUserModel, Discriminator]:
    made = Agent(SIZE), RecurrentUserModel(SIZE), Discriminator(SIZE)
    for seed, model in enumerate(made):
        initialise(model, seeded(seed))
    return made


def stage(models: tuple[Agent, RecurrentUserModel, Discriminator], final_slates: bool, length: int = 9) -> Stage:
    agent, user, judge = models
    policy = RankingPolicy(agent, 3, sampled=True)
    return Stage(policy, LearnedWorld(user), length, judge, final_slates)


def test_every_session_ends_or_is_cut(models: tuple[Agent, RecurrentUserModel, Discriminator]) -> None:
    agent, user, _ = models
    batch = rollout(RankingPolicy(agent, 3, sampled=True), LearnedWorld(user), 200, max_length=4, generator=seeded(1))
    clicks = batch.clicked.sum(1)
    assert torch.equal(batch.ended.any(1), clicks < 4)
    assert int(clicks.max()) == 4
    assert torch.equal(
        batch.slate.gather(2, batch.position.clamp(min=0)[..., None])[..., 0][batch.clicked],
        batch.click[batch.clicked],
    )


@pytest.mark.parametrize("final_slates", [True, False])
def test_the_judge_carried_along_agrees_with_the_judge_of_whole_sessions(
    models: tuple[Agent, RecurrentUserModel, Discriminator], final_slates: bool
) -> None:
    batch = scored_rollout(stage(models, final_slates), 50, completions=2, generator=seeded(3))
    with torch.no_grad():
        whole = torch.sigmoid(models[2](batch))
    last = batch.steps - 1
    torch.testing.assert_close(batch.score[torch.arange(50), last], whole)


def test_completions_have_the_distribution_of_fresh_sessions(
    models: tuple[Agent, RecurrentUserModel, Discriminator],
) -> None:
    # E[D(tau)] is the same whether a session is completed from its first step or played in one go.
    batch = scored_rollout(stage(models, True), 2000, completions=5, generator=seeded(4))
    with torch.no_grad():
        whole = torch.sigmoid(models[2](batch))
    first = batch.score[:, 0]
    assert float(first.mean()) == pytest.approx(float(whole.mean()), abs=4 * float(whole.std()) / 2000**0.5)


def test_chunks_of_completions_cover_every_prefix(
    models: tuple[Agent, RecurrentUserModel, Discriminator],
) -> None:
    batch = scored_rollout(stage(models, True), 40, completions=3, generator=seeded(5), rows=7)
    assert bool(((batch.score > 0) == batch.real).all())


def test_padding_and_company_change_nothing(models: tuple[Agent, RecurrentUserModel, Discriminator]) -> None:
    agent, user, judge = models
    batch = rollout(RankingPolicy(agent, 3, sampled=True), LearnedWorld(user), 30, max_length=9, generator=seeded(6))
    sessions = Sessions.from_batch(batch)
    together = sessions.batch(torch.arange(30))
    with torch.no_grad():
        agent_all, user_all, judge_all = agent(together), user(together), judge(together)
        for s in range(30):
            alone = sessions.batch(torch.tensor([s]))
            rows = slice(int(sessions.step_start[s]), int(sessions.step_start[s + 1]))
            torch.testing.assert_close(agent(alone), agent_all[rows])
            torch.testing.assert_close(user(alone).outcome[:, -1], user_all.outcome[rows, -1])
            torch.testing.assert_close(judge(alone), judge_all[s : s + 1])


def test_lists_that_are_not_full_are_shown_without_their_padding() -> None:
    shop = small_shop()
    batch = rollout(PresentedOrder(), shop, 100, max_length=9, generator=seeded(8))
    assert torch.equal(batch.shown, (batch.slate < shop.catalogue_size) & batch.real[..., None])
    sizes = batch.shown[batch.real].sum(1)
    assert 10 <= int(sizes.min()) < int(sizes.max()) <= 100
    assert (batch.click[batch.clicked] < shop.catalogue_size).all()
    ended = rollout(PresentedOrder(), shop, 100, max_length=9, generator=seeded(8), final_slates=False)
    assert torch.equal(ended.shown, batch.shown & batch.clicked[..., None])
    assert (ended.slate[~ended.shown] == shop.catalogue_size).all()


def test_completions_of_a_shop_start_from_the_states_reached() -> None:
    shop, judge = small_shop(), Discriminator(Size(items=400, embedding=4, units=6, layers=1))
    initialise(judge, seeded(0))
    stage = Stage(PresentedOrder(), shop, 9, judge)
    batch = scored_rollout(stage, 30, completions=3, generator=seeded(9))
    assert bool(((batch.score > 0) == batch.real).all())


def test_stepping_equals_running_over_the_session(
    models: tuple[Agent, RecurrentUserModel, Discriminator],
) -> None:
    agent, user, _ = models
    batch = rollout(RankingPolicy(agent, 3, sampled=True), LearnedWorld(user), 20, max_length=9, generator=seeded(7))
    with torch.no_grad():
        logits = torch.zeros(*batch.real.shape, SIZE.items)
        logits[batch.real] = agent(batch)
        state = agent.start(20)
        for t in range(batch.real.shape[1]):
            rows = batch.real[:, t]
            torch.testing.assert_close(agent.scores(state)[rows], logits[rows, t])
            state = agent.advance(state, batch.click[:, t])


def test_nothing_is_computed_after_the_cut_but_the_verdict(
    models: tuple[Agent, RecurrentUserModel, Discriminator], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, _, judge = models
    heard: dict[str, int] = {"agent": 0, "judge": 0}
    advance, weigh = agent.advance, judge.advance

    def counted(state: RecurrentState, click: torch.Tensor) -> RecurrentState:
        heard["agent"] += len(click)
        return advance(state, click)

    def judged(state: JudgeState, slate: torch.Tensor, click: torch.Tensor, reward: torch.Tensor) -> JudgeState:
        heard["judge"] += len(click)
        return weigh(state, slate, click, reward)

    monkeypatch.setattr(agent, "advance", counted)
    monkeypatch.setattr(judge, "advance", judged)
    batch = scored_rollout(stage(models, True, length=2), 50, completions=1, generator=seeded(10))
    cut = int((~batch.ended.any(1)).sum())
    clicks, prefixes = int(batch.clicked.sum()), int((batch.clicked.sum(1) > 0).sum())
    assert cut
    assert heard["agent"] == clicks - cut  # completions end or are cut at their first step
    assert clicks < heard["judge"] <= clicks + prefixes
