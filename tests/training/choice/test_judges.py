"""How lists judge candidates, against numbers worked out by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.training.choice.folds import Fitted
from irecgan.training.choice.judges import ListJudge
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from latent_users import sessions_of


def by_index(batch: SessionBatch) -> Tensor:
    return -batch.slate[batch.real].float()


RANKED: Any = Fitted("in order", policy=None, scorer=by_index, users=None, seconds=0.0)  # type: ignore[arg-type]
SESSIONS = [[([1, 2], 1)], [([0, 1], 1), ([2, 3], 2)], [([0, 1, 2], 2), ([2, 3], NOTHING)]]


def judge_of(rewards: Sequence[float], lambda_r: float) -> ListJudge:
    """By two halves, each SESSIONS whose steps earn ``rewards``."""
    sessions = replace(sessions_of(SESSIONS, items=4), reward=torch.tensor(rewards))
    part = sessions.select(torch.arange(0))
    folds = (TrainingData(sessions, part, final_slates=True),) * 2
    return ListJudge(folds, TrainingConfig(lambda_r=lambda_r))


def scored(rewards: Sequence[float], lambda_r: float) -> list[float]:
    """The scores of SESSIONS whose steps earn ``rewards``: ranks 1; 2, 1; 3, none."""
    judge = judge_of(rewards, lambda_r)
    assert judge.too_few is None
    first, second = judge.scores((RANKED, RANKED)).halves
    assert torch.equal(first, second)
    return first.tolist()


def test_a_session_scores_the_mean_reciprocal_rank_of_its_clicks_weighed_by_their_rewards() -> None:
    assert scored([0, 0, 0, 0, 0], 3.0) == pytest.approx([1, 0.75, 1 / 3])
    assert scored([0, 1, 0, 0, 0], 3.0) == pytest.approx([1, (4 / 2 + 1) / 5, 1 / 3])


def test_clicks_whose_loss_takes_all_they_are_worth_weigh_nothing() -> None:
    assert scored([-5, -1.001, 1, 0, 0], 1.0) == pytest.approx([1, 1 / 3])
    assert scored([0, -1, -0.5, 0, 0], 1.0) == pytest.approx([1, 1, 1 / 3])
    few = judge_of([-1, -1, -1, 0, 0], 1.0).too_few
    assert few == "in half of the log the sessions with a click worth something in a list are 1; a comparison takes 2"
