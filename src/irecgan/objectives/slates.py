"""How likely a policy makes a whole slate, for objectives that credit every item shown.

Both are per item shown, so that a list of 100 weighs no more than a list of 10.
"""

import torch
from torch import Tensor


def set_log_likelihood(log_probability: Tensor, chosen: Tensor, scores: Tensor, shown: Tensor) -> Tensor:
    """The mean of log pi over the items shown: the surrogate for a slate whose order means nothing. (M,)

    It is the log-likelihood of one item drawn at random from the slate, so at its best pi(j) is in proportion to how
    often j is shown (times the weight of the step), and the top k of pi are the items shown most: what the
    likelihood of a set under draws without replacement leads to, without its sum over all orders (multi-label
    softmax; Mahajan et al., 2018, "Exploring the limits of weakly supervised pretraining", section 2). All items share
    one partition function, so the log-probability of one of them and the scores of all are enough.

    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> set_log_likelihood(scores[:, 0], scores[:, 0], scores[:, :2], torch.ones(1, 2, dtype=torch.bool)).exp() ** 2
    tensor([0.1500])

    Args:
        log_probability: (M,) log pi of any one item.
        chosen: (M,) its score.
        scores: (M, K) scores of the items shown.
        shown: (M, K) bool. Where nothing is shown the result is 0.

    """
    number = shown.sum(1)
    mean = torch.where(shown, scores, 0.0).sum(1) / number.clamp(min=1)
    return torch.where(number > 0, log_probability - chosen + mean, 0.0)


def ordered_log_likelihood(scores: Tensor, slate: Tensor, shown: Tensor) -> Tensor:
    """The log chance that draws without replacement by pi give the slate in its order, over its size. (M,)

    Each item is drawn by the softmax over those that are left (Plackett, 1975, "The analysis of permutations"): the
    law of Eq. (4) by which sampled slates are made.

    >>> scores = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> shown = torch.ones(1, 2, dtype=torch.bool)
    >>> ordered_log_likelihood(scores, torch.tensor([[1, 0]]), shown).exp() ** 2  # 0.3 * 0.5 / 0.7
    tensor([0.2143])

    Args:
        scores: (M, n) of all items.
        slate: (M, K) items in shown order.
        shown: (M, K) bool; what is not shown may hold any number. Where nothing is shown the result is 0.

    """
    lowest = torch.finfo(scores.dtype).min / 4  # as good as -inf, and gradients stay finite
    items = torch.where(shown, slate, 0)
    drawn = scores.gather(1, items).masked_fill(~shown, lowest)  # (M, K)
    taken = torch.zeros_like(scores).scatter_add(1, items, shown.to(scores)) > 0  # (M, n)
    others = scores.masked_fill(taken, lowest).logsumexp(1, keepdim=True)  # (M, 1)
    left = torch.logaddexp(drawn.flip(1).logcumsumexp(1).flip(1), others)
    return torch.where(shown, drawn - left, 0.0).sum(1) / shown.sum(1).clamp(min=1)
