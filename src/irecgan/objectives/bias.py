"""The theory of section 6: the optimal discriminator of Eq. (5), the values of Eq. (11) and (12), and their bias.

Three laws give a prefix tau_0:t its chance: pi (the agent in the true world), g (the agent among learned users)
and data (the logging policy in the true world). A prefix is worth what its last step earns. Sums over prefixes of
all lengths are sums over t of expectations.

Supports: where neither law can make a session, the optimal discriminator is taken to be 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True)
class PrefixLaws:
    """What is known of P prefixes tau_0:t, each with its last step. Fields of any one shape, (P,) below."""

    policy: Tensor  # (P,) log P_pi
    generated: Tensor  # (P,) log P_g
    data: Tensor  # (P,) log P_data
    reward: Tensor  # (P,) r_t, expected in the true world given all of the prefix before it
    predicted: Tensor  # (P,) rhat_t, expected by the user model

    def take(self, rows: Tensor) -> "PrefixLaws":
        """The prefixes that the index or mask ``rows`` picks."""
        return PrefixLaws(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def concat(cls, parts: Sequence["PrefixLaws"]) -> "PrefixLaws":
        """The prefixes of all parts (P,)."""
        return cls(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)})


@dataclass(frozen=True)
class Biases:
    """The three sources of bias at P prefixes, and the weight w_t; not finite where a law excludes the prefix."""

    delta: Tensor  # (P,) Delta = rhat_t - r_t
    delta_1: Tensor  # (P,) 1 - P_pi / P_g
    delta_2: Tensor  # (P,) 1 - P_pi / P_data
    weight: Tensor  # (P,) w_t = lambda_1 / (2 - (delta_1 + delta_2)); 0 where P_g or P_data is 0


@dataclass(frozen=True)
class Decomposition:
    """E[V_a] of Eq. (12) as V_pi and its biases: the paper's four terms, and what missing support adds."""

    value: Tensor  # () V_pi = sum_t E_pi[r_t]
    reward_error: Tensor  # () sum_t E_pi[w_t Delta]
    data_shift: Tensor  # () sum_t E_data[lambda_2 delta_2 r_t]
    shrinkage: Tensor  # () -sum_t E_pi[(lambda_1 - w_t) r_t]
    unlogged: Tensor  # () -lambda_2 sum_t E_pi[r_t where P_data = 0]
    unplayed: Tensor  # () lambda_1 sum of P_g P_data / (P_g + P_data) rhat_t where P_pi = 0

    @property
    def total(self) -> Tensor:
        """Their sum, which is Eq. (12). ()"""
        return self.value + self.reward_error + self.data_shift + self.shrinkage + self.unlogged + self.unplayed


def optimal_discriminator(data: Tensor, generated: Tensor) -> Tensor:
    """D* = P_data / (P_data + P_g), which minimises Eq. (5); 0 where both are 0. Log chances, any shape

    >>> optimal_discriminator(torch.tensor([0.3, 0.0]).log(), torch.tensor([0.1, 0.0]).log())
    tensor([0.7500, 0.0000])
    """
    return torch.sigmoid(torch.where(data == -torch.inf, -torch.inf, data - generated))


def expected_discriminator_loss(logits: Tensor, data: Tensor, generated: Tensor) -> Tensor:
    """Eq. (5) itself, as an expectation over all S sessions: logits (S,) and log chances (S,). ()"""
    return (data.exp() * softplus(-logits) + generated.exp() * softplus(logits)).sum()


def generation_value(score: Tensor, generated: Tensor, steps: Tensor) -> Tensor:
    """sum_t E_g[D(tau_0:T | tau_0:t)] of Eq. (11): E_g[D(tau) times the steps of tau]. ()

    By Eq. (6), q_D(tau_0:t) is the mean of D over completions, so that the mean over prefixes and then over
    completions is one over whole sessions.

    Args:
        score: (S,) D of whole sessions; `optimal_discriminator` gives the right-hand side of Eq. (11).
        generated: (S,) log P_g of them.
        steps: (S,) steps T + 1 of each.

    """
    return (generated.exp() * score * steps).sum()


def estimated_value(laws: PrefixLaws, lambda_1: float) -> Tensor:
    """E[V_a] of Eq. (12), with lambda_2 = 1 - lambda_1; ``laws`` of every prefix there is. ()"""
    generated = laws.generated.exp() * optimal_discriminator(laws.data, laws.generated) * laws.predicted
    return lambda_1 * generated.sum() + (1 - lambda_1) * (laws.data.exp() * laws.reward).sum()


def biases(laws: PrefixLaws, lambda_1: float) -> Biases:
    """Delta, delta_1, delta_2 and w_t at every prefix, from log chances: w_t stays exact when ratios overflow."""
    by_generated = _log_ratio(laws.policy, laws.generated)
    by_data = _log_ratio(laws.policy, laws.data)
    return Biases(
        delta=laws.predicted - laws.reward,
        delta_1=1 - by_generated.exp(),
        delta_2=1 - by_data.exp(),
        weight=lambda_1 * torch.exp(-torch.logaddexp(by_generated, by_data)),
    )


def decompose(laws: PrefixLaws, lambda_1: float) -> Decomposition:
    """The terms of the decomposition of Eq. (12); ``laws`` of every prefix there is.

    On the support of pi, P_pi w_t = lambda_1 P_g P_data / (P_g + P_data), the weight of Eq. (12). Where P_g or
    P_data is 0 both are 0. P_data delta_2 is P_data - P_pi, which is finite where delta_2 overflows.
    """
    policy, data, played, logged = laws.policy.exp(), laws.data.exp(), laws.policy.isfinite(), laws.data.isfinite()
    met = laws.generated.exp() * optimal_discriminator(laws.data, laws.generated)  # P_g P_data / (P_g + P_data)
    found = biases(laws, lambda_1)
    weight = torch.where(played, found.weight, 0.0)
    return Decomposition(
        value=(policy * laws.reward).sum(),
        reward_error=(policy * weight * found.delta).sum(),
        data_shift=(1 - lambda_1) * ((data - policy) * laws.reward)[logged].sum(),
        shrinkage=-(policy * (lambda_1 - weight) * laws.reward).sum(),
        unlogged=-(1 - lambda_1) * (policy * laws.reward)[~logged].sum(),
        unplayed=lambda_1 * (met * laws.predicted)[~played].sum(),
    )


def _log_ratio(above: Tensor, below: Tensor) -> Tensor:
    """Log of above / below; infinite where only ``below`` is 0, and of 0 where ``above`` is."""
    return torch.where(above == -torch.inf, -torch.inf, above - below)
