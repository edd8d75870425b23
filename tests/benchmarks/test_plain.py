"""The batched roll-out against the plain reference: same draws, same session; same law otherwise."""

import pytest
import torch

from irecgan.models.agent import Agent
from irecgan.models.discriminator import Discriminator
from irecgan.models.recurrent import Size, initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import Stage, scored_rollout
from irecgan.worlds.learned import LearnedWorld
from plain import PlainGenerator

SIZE = Size(items=7, embedding=4, units=6, layers=2)
Models = tuple[Agent, RecurrentUserModel, Discriminator]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def models() -> Models:
    made = Agent(SIZE), RecurrentUserModel(SIZE), Discriminator(SIZE)
    for seed, model in enumerate(made):
        initialise(model, seeded(seed))
        for parameter in model.parameters():
            parameter.data.mul_(2)  # verdicts and slates that differ
    return made


def stage(models: Models, length: int) -> Stage:
    agent, user, judge = models
    return Stage(RankingPolicy(agent, 3, sampled=True), LearnedWorld(user), length, judge)


def test_a_batch_of_one_is_the_plain_session_with_the_same_draws(models: Models) -> None:
    lengths = set()
    for seed in range(30):
        # One completion of at most one prefix: both draw in the same order.
        batch = scored_rollout(stage(models, 2), 1, completions=1, generator=seeded(seed))
        plain, expected = PlainGenerator(*models, 3, 2).scored(1, seeded(seed))
        lengths.add(len(plain.positions))
        for name in ("slate", "click", "position", "real"):
            assert torch.equal(getattr(batch, name), getattr(expected, name)), name
        torch.testing.assert_close(batch.reward, expected.reward)
        torch.testing.assert_close(batch.score, expected.score)
    assert lengths == {1, 2}


def test_longer_sessions_are_the_plain_ones_step_by_step(models: Models) -> None:
    for seed in range(20):
        batch = scored_rollout(stage(models, 6), 1, completions=2, generator=seeded(seed))
        plain = PlainGenerator(*models, 3, 6).session(seeded(seed)).batch(SIZE.items)
        assert torch.equal(batch.slate, plain.slate)
        assert torch.equal(batch.position, plain.position)


def test_scores_have_the_law_of_the_plain_ones(models: Models) -> None:
    sessions = 400
    batch = scored_rollout(stage(models, 4), 10 * sessions, completions=2, generator=seeded(1))
    generator, plain = seeded(2), PlainGenerator(*models, 3, 4)
    made = [plain.scored(2, generator)[1] for _ in range(sessions)]
    for step in (0, 1):
        ours = batch.score[batch.real[:, step], step]
        theirs = torch.stack([one.score[0, step] for one in made if one.score.shape[1] > step])
        error = (ours.var() / len(ours) + theirs.var() / len(theirs)).sqrt()
        assert abs(float(ours.mean() - theirs.mean())) < 4 * float(error)
        spread = float(theirs.std())
        assert float(ours.std()) == pytest.approx(spread, abs=4 * spread / (2 * len(theirs)) ** 0.5 + 1e-4)
