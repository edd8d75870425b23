"""What policies are worth to fitted users, and by importance weights: against numbers worked out by hand."""

from dataclasses import replace

import pytest
import torch

from irecgan.data.batch import NOTHING, Sessions
from irecgan.models.latent import LatentUserModel
from irecgan.policies.begun import Begun
from irecgan.policies.popularity import Popularity
from irecgan.policies.ranking import RankingPolicy
from irecgan.training.choice.worth import off_policy_worth, predicted_worth
from latent_users import sessions_of, tables_of


def showing(items: list[int], count: int) -> RankingPolicy[Begun]:
    """Always the same slate."""
    scores = torch.zeros(2, count)
    scores[:, items] = 1.0
    return RankingPolicy(Popularity(scores), len(items))


def logged(propensity: list[float]) -> Sessions:
    """A hundred times: a click on 1 of (0, 1) and an end at (2, 3); a click on 0 of (0, 2)."""
    once = [[([0, 1], 1), ([2, 3], NOTHING)], [([0, 2], 0)]]
    sessions = sessions_of(once * 100, items=4)
    return replace(sessions, propensity=torch.tensor(propensity * 100))


def test_clicks_that_the_policy_would_have_shown_count_by_one_over_their_chance() -> None:
    sessions = logged([0.5, torch.nan, 0.25])
    found = off_policy_worth(showing([1, 2], 4), sessions, reward_weight=3.0)
    assert found is not None
    assert found.per_step == pytest.approx(4 / 0.5 / 3)  # one of three steps; a click with reward 1 counts 4
    assert found.clicks == pytest.approx(100)
    both = off_policy_worth(showing([0, 1], 4), sessions, reward_weight=0.0)
    assert both is not None
    assert both.per_step == pytest.approx((1 / 0.5 + 1 / 0.25) / 3)
    assert both.clicks == pytest.approx(600**2 / (100 * (4 + 16)))


@pytest.mark.parametrize(
    ("propensity", "shown"),
    [([torch.nan, torch.nan, 0.25], [0, 1]), ([1.0, torch.nan, 1.0], [0, 1]), ([0.5, torch.nan, 0.5], [2, 3])],
    ids=["unknown", "certain", "never-shown"],
)
def test_logs_that_allow_no_estimate(propensity: list[float], shown: list[int]) -> None:
    assert off_policy_worth(showing(shown, 4), logged(propensity), reward_weight=1.0) is None


def test_predicted_worth_is_that_of_sessions_played() -> None:
    """One state in which every slate is clicked with chance 1/2: one click is expected, worth 1 + 3."""
    tables = tables_of(1, 4, 1)
    even = torch.full_like(tables.survival, 0.5)
    users = LatentUserModel(replace(tables, survival=even))
    generator = torch.Generator().manual_seed(0)
    found = predicted_worth(showing([0, 1], 4), users, 8_000, max_length=100, reward_weight=3.0, generator=generator)
    assert found.shape == (8_000,)
    assert float(found.mean()) == pytest.approx(4.0, rel=0.05)
