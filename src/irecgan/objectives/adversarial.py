"""The discriminator's objective, Eq. (5), and the score it gives to parts of sessions, Eq. (6).

Sign: D(tau) = sigmoid(logit) is the probability that a session is *logged*. A high logit means real.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(logged: Tensor, generated: Tensor, shares: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """-E_data log D(tau) - E_g log(1 - D(tau)), Eq. (5). ()

    Args:
        logged: (B,) logits of logged sessions.
        generated: (G,) logits of generated sessions.
        shares: of the sessions of a larger batch that these are, logged and generated.

    """
    return shares[0] * softplus(-logged).mean() + shares[1] * softplus(generated).mean()


def sequence_score(completions: Tensor) -> Tensor:
    """q_D(tau_0:t) = (1/N) sum_n D(tau^n_0:T), Eq. (6). (..., N) logits -> (...) in [0, 1]

    At t = T there is nothing to complete: give the session's own logit as the single completion.
    """
    return torch.sigmoid(completions).mean(-1)
