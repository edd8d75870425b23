"""The supervised objective of session recommenders: which item is clicked next."""

import torch
from torch import Tensor


def next_click_loss(log_probability: Tensor, clicked: Tensor, sessions: int) -> Tensor:
    """Minus the log-likelihood of the clicked items among all items of the catalogue, a session. ()

    The task of GRU4Rec (Hidasi and Karatzoglou, 2018, "Recurrent neural networks with top-k gains for
    session-based recommendations"), whose ranking losses stand in for a softmax over a catalogue too
    large for it. With the whole catalogue as negatives the cross-entropy is the stronger loss
    (Klenitskiy and Vasilev, 2023, "Turning dross into gold loss: is BERT4Rec really better than SASRec?").

    >>> next_click_loss(torch.tensor([0.5, 0.25, 0.1]).log(), torch.tensor([True, True, False]), 2)
    tensor(1.0397)

    Args:
        log_probability: (M,) log p(c_t | s_t) of the items clicked.
        clicked: (M,) bool, steps with a click on an item of the catalogue; the others teach nothing.
        sessions: the number of sessions the M steps belong to.

    """
    return -torch.where(clicked, log_probability, 0.0).sum() / sessions
