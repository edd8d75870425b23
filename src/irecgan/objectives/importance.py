"""Importance weights for learning from another policy's log (Chen et al., 2019, "Top-K off-policy correction
for a REINFORCE recommender system"). Each weighs one step: states stay distributed as in the log.
"""

import torch
from torch import Tensor


def inclusion_log_probability(log_probability: Tensor, slate_size: Tensor | int) -> Tensor:
    """Log alpha = log(1 - (1 - pi)^K): the chance that an item is among ``slate_size`` draws of pi. Any shape

    >>> inclusion_log_probability(torch.tensor([0.5]).log(), 2).exp()
    tensor([0.7500])
    """
    missed = slate_size * torch.log1p(-log_probability.exp().clamp(max=1 - 1e-6))
    return torch.log(-torch.expm1(missed))


def top_k_multiplier(log_probability: Tensor, slate_size: Tensor | int) -> Tensor:
    """Lambda_K = K (1 - pi)^(K - 1), by which the gradient of log pi becomes that of alpha over pi. Any shape

    >>> top_k_multiplier(torch.tensor([0.5, 0.0]).log(), torch.tensor([2, 0]))
    tensor([1., 0.])
    """
    others = torch.as_tensor(slate_size - 1).clamp(min=0)  # where nothing is shown too: 0, whatever pi is
    return slate_size * (1 - log_probability.detach().exp()) ** others


def importance_weight(log_target: Tensor, log_behaviour: Tensor, cap: float) -> Tensor:
    """min(pi / beta, ``cap``); no gradient flows through it. Any shape

    >>> importance_weight(torch.tensor([0.2, 0.9]).log(), torch.tensor([0.4, 0.1]).log(), 5.0)
    tensor([0.5000, 5.0000])
    """
    return (log_target - log_behaviour).detach().exp().clamp(max=cap)


def effective_sample_share(weight: Tensor) -> Tensor:
    """(sum w)^2 / (M sum w^2), in (0, 1]: the share of M steps that they are worth (Kish, 1965). ()

    >>> effective_sample_share(torch.tensor([1.0, 1.0, 1.0, 1.0]))
    tensor(1.)
    """
    return weight.sum() ** 2 / (len(weight) * (weight**2).sum()).clamp(min=torch.finfo(weight.dtype).tiny)
