"""Where models and objectives meet: one loss per model, as a function of a batch."""

from typing import Protocol

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.models.agent import Agent
from irecgan.models.user import RecurrentUserModel, UserPrediction
from irecgan.objectives.behaviour import behaviour_loss, step_log_likelihood
from irecgan.objectives.policy import agent_return, policy_gradient_loss
from irecgan.training.config import TrainingConfig


class AgentLoss(Protocol):
    """An objective of the agent: a pure function of the agent, a batch and the settings."""

    def __call__(self, agent: Agent, batch: SessionBatch, config: TrainingConfig) -> Tensor:
        """The loss, a scalar."""
        ...


def user_loss(user: RecurrentUserModel, batch: SessionBatch, config: TrainingConfig) -> Tensor:
    """Minus the objective of Eq. (7); on logged sessions, where q_D = 1, that of Eq. (3)."""
    prediction: UserPrediction = user(batch)
    real = batch.real
    reward = user.reward_law.log_probability(prediction.reward, batch.reward[real])
    likelihood = step_log_likelihood(prediction.outcome, batch.position[real], reward, config.lambda_p)
    return behaviour_loss(likelihood, batch.score[real], len(batch))


def policy_gradient(agent: Agent, batch: SessionBatch, config: TrainingConfig) -> Tensor:
    """The policy gradient of Eq. (10), by REINFORCE on the clicks of logged and generated sessions."""
    value = agent_return(batch.score, batch.reward, batch.clicked, config.gamma, config.lambda_r)
    known = batch.clicked & (batch.click < batch.catalogue_size)
    weight = torch.where(known, value, 0.0)[batch.real]
    click = batch.click[batch.real].clamp(max=batch.catalogue_size - 1)
    log_policy = agent(batch).log_softmax(1).gather(1, click[:, None]).squeeze(1)
    return policy_gradient_loss(log_policy, weight, len(batch))
