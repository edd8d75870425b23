"""Where models and objectives meet: one loss per model, as a function of a batch."""

from typing import Protocol

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.order import in_order
from irecgan.models.agent import Agent
from irecgan.models.user import Learning, RecurrentUserModel, UserPrediction
from irecgan.objectives.behaviour import behaviour_loss, step_log_likelihood
from irecgan.objectives.critic import temporal_difference, value_loss
from irecgan.objectives.importance import (
    effective_sample_share,
    importance_weight,
    inclusion_log_probability,
    top_k_multiplier,
)
from irecgan.objectives.next_click import next_click_loss
from irecgan.objectives.policy import agent_return, click_worth, policy_gradient_loss
from irecgan.objectives.slates import ordered_log_likelihood, set_log_likelihood
from irecgan.training.config import TrainingConfig
from irecgan.training.likelihood import Likelihood, exact


class AgentLoss(Protocol):
    """An objective of the agent: a pure function of the agent, a batch and the settings."""

    def __call__(
        self, agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood | None = None
    ) -> Tensor:
        """The loss, a scalar. ``likelihood``: of clicks under the policy; by default the exact one."""
        ...


def user_loss(
    user: RecurrentUserModel, batch: SessionBatch, config: TrainingConfig, learning: Learning | None = None
) -> Tensor:
    """Minus the objective of Eq. (7); on logged sessions, where q_D = 1, that of Eq. (3).

    ``learning``: while the user model learns; without it the loss judges.
    """
    prediction: UserPrediction = user(batch, learning)
    real = batch.real
    reward = user.reward_law.log_probability(prediction.reward, batch.reward[real])
    likelihood = step_log_likelihood(prediction.outcome, batch.position[real], reward, config.lambda_p)
    return behaviour_loss(likelihood, batch.score[real], len(batch))


def policy_gradient(
    agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood | None = None
) -> Tensor:
    """The policy gradient of Eq. (10), by REINFORCE on the clicks of logged and generated sessions."""
    log_policy = _log_policy(agent, agent.states(batch), batch, likelihood or exact(config))
    return policy_gradient_loss(log_policy, _returns(batch, config)[batch.real], len(batch))


def off_policy_gradient(
    agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood | None = None
) -> Tensor:
    """PGIS: Eq. (10) with each click weighed by pi over the logging policy, and the model of the latter.

    The weight is the ratio of the chances that the slate holds the click where the log gives its
    propensity, else that of pi and a model of the logged clicks, fitted on the agent's state without
    touching it (Chen et al., 2019). Under the top-K correction, whose multiplier turns pi grad log pi into
    the gradient of that chance, it is pi over the logged chance in either case.
    """
    behaviour, log_policy = _off_policy(agent, batch, likelihood or exact(config))
    weight = _weights(batch, behaviour, log_policy, config)
    if config.top_k_correction:
        weight = weight * top_k_multiplier(log_policy, _slate_size(batch))
    value = _returns(batch, config)[batch.real] * weight
    fit = behaviour[_known(batch)[batch.real]].sum() / len(batch)
    return policy_gradient_loss(log_policy, value, len(batch)) - fit


def actor_critic(
    agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood | None = None
) -> Tensor:
    """AC: the policy gradient with the advantage over a learned value of the state in place of the return.

    The value is learned in units of 1 / (1 - gamma), so that its error is on the scale of rewards.
    """
    states, unit = agent.states(batch), 1 / max(1 - config.gamma, 0.01)
    scaled = torch.zeros_like(batch.reward).masked_scatter(batch.real, agent.heads["value"](states).squeeze(-1))
    value = unit * scaled.detach()  # (B, T)
    returns = _returns(batch, config)
    known = _known(batch)
    if config.advantage == "td":
        earned = batch.score * click_worth(batch.reward, batch.clicked, config.lambda_r)
        advantage = temporal_difference(value, earned, known, config.gamma)
    else:
        advantage = torch.where(known, returns - value, 0.0)
    log_policy = _log_policy(agent, states, batch, likelihood or exact(config))
    critic = value_loss(scaled[batch.real], (returns / unit)[batch.real], torch.ones_like(log_policy), len(batch))
    return policy_gradient_loss(log_policy, advantage[batch.real], len(batch)) + config.value_weight * critic


def next_click(
    agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood | None = None
) -> Tensor:
    """The likelihood of the clicks of logged sessions, whatever they earned: a supervised session recommender."""
    log_policy = _log_policy(agent, agent.states(batch), batch, likelihood or exact(config))
    return next_click_loss(log_policy, _known(batch)[batch.real], len(batch))


def whole_slate(
    agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood | None = None
) -> Tensor:
    """Eq. (10) with credit for every item of the slate in place of the clicked one.

    What a step earned, and all that followed, is put down to the whole slate: a policy that chose it by what it
    knew of the user is imitated, and the more where it earned more.
    """
    log_slate = _log_slate(agent, batch, config, likelihood or exact(config))
    value = agent_return(batch.score, batch.reward, batch.clicked, config.gamma, config.lambda_r)
    return policy_gradient_loss(log_slate, value[batch.real], len(batch))


def slate_imitation(
    agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood | None = None
) -> Tensor:
    """Minus the log-likelihood of the slates at all steps, whatever they earned: a planner's slates are distilled."""
    log_slate = _log_slate(agent, batch, config, likelihood or exact(config))
    return policy_gradient_loss(log_slate, torch.ones_like(log_slate), len(batch))


@torch.no_grad()
def weight_metrics(agent: Agent, sessions: Sessions, config: TrainingConfig) -> dict[str, float]:
    """The effective share of the clicks in ``sessions`` under PGIS's weights, and the share that is capped.

    Both are 0 where no known item was clicked.
    """
    weights = []
    for rows in in_order(sessions.steps, 256):
        batch = sessions.batch(rows).to(agent.encoder.first.device)
        behaviour, log_policy = _off_policy(agent, batch, exact(config))
        weights.append(_weights(batch, behaviour, log_policy, config)[_known(batch)[batch.real]])
    weight = torch.cat(weights)
    return {
        "weights/effective_share": float(effective_sample_share(weight)),
        "weights/capped_share": float((weight >= config.weight_cap).sum() / max(len(weight), 1)),
    }


def _returns(batch: SessionBatch, config: TrainingConfig) -> Tensor:
    """R^a_t of Eq. (10), 0 where no known item was clicked. (B, T)"""
    value = agent_return(batch.score, batch.reward, batch.clicked, config.gamma, config.lambda_r)
    return torch.where(_known(batch), value, 0.0)


def _known(batch: SessionBatch) -> Tensor:
    """Steps with a click on an item of the catalogue. (B, T) bool"""
    return batch.clicked & (batch.click < batch.catalogue_size)


def _log_policy(agent: Agent, states: Tensor, batch: SessionBatch, likelihood: Likelihood) -> Tensor:
    """Log pi of the clicks at ``states`` (M, H); any number where none is known. (M,)"""
    return likelihood(agent.item_scores(states), batch.click[batch.real])


def _log_slate(agent: Agent, batch: SessionBatch, config: TrainingConfig, likelihood: Likelihood) -> Tensor:
    """The log-likelihood of the known items of each slate, per item. (M,)"""
    scores, slate, shown = agent.item_scores(agent.states(batch)), batch.slate[batch.real], batch.shown[batch.real]
    if not slate.shape[1]:  # no step of the batch has a slate: one of no item
        slate, shown = slate.new_full((len(slate), 1), batch.catalogue_size), shown.new_zeros(len(shown), 1)
    known = shown & (slate < batch.catalogue_size)
    if config.slates_as == "ordered":
        return ordered_log_likelihood(scores.all(), slate, known)
    first = slate.gather(1, known.int().argmax(1, keepdim=True)).squeeze(1)  # (M,) the first that is known
    found = scores.at(torch.cat([first[:, None], slate], dim=1))  # (M, 1 + K)
    return set_log_likelihood(likelihood(scores, first), found[:, 0], found[:, 1:], known)


def _off_policy(agent: Agent, batch: SessionBatch, likelihood: Likelihood) -> tuple[Tensor, Tensor]:
    """Log-probabilities (M,) of the clicks under the behaviour model and under pi."""
    states = agent.states(batch)
    behaviour = likelihood(agent.behaviour_scores(states), batch.click[batch.real])
    return behaviour, _log_policy(agent, states, batch, likelihood)


def _weights(batch: SessionBatch, behaviour: Tensor, log_policy: Tensor, config: TrainingConfig) -> Tensor:
    propensity = batch.propensity[batch.real]
    modelled = importance_weight(log_policy, behaviour, config.weight_cap)
    shown = log_policy if config.top_k_correction else inclusion_log_probability(log_policy, _slate_size(batch))
    logged = importance_weight(shown, propensity.log(), config.weight_cap)
    return torch.where(propensity.isnan(), modelled, logged)


def _slate_size(batch: SessionBatch) -> Tensor:
    """Items shown at the M real steps. (M,)"""
    return batch.shown[batch.real].sum(1)
