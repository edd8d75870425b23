"""Keeping the user model's sessions as long as logged ones."""

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.data.order import in_order
from irecgan.models.user import RecurrentUserModel, UserPrediction
from irecgan.training.distributed import ALONE, Processes

_BATCH = 256


@torch.no_grad()
def calibrate_stop(user: RecurrentUserModel, sessions: Sessions, processes: Processes = ALONE) -> float:
    """Shift the score of c_end so that ``user`` expects as many ends in ``sessions`` as there are.

    Gives the shift. Stochastic steps leave the overall rate of stopping off by 10 % and more, and the
    length of a generated session is its inverse. One number is fitted, so nothing can be overfitted:
    calibration in the large (Steyerberg, 2009, "Clinical prediction models").
    """
    logits, ended = [torch.empty(0, device=processes.device)], torch.zeros((), device=processes.device)
    for rows in in_order(sessions.steps, _BATCH)[processes.rank :: processes.size]:
        batch = sessions.batch(rows).to(processes.device)
        prediction: UserPrediction = user(batch)
        stop = prediction.outcome[:, -1]
        open_question = stop < 0  # c_end is certain where nothing is shown and it competes with the slate
        logits.append(_logit(stop[open_question]))
        ended += (batch.ended[batch.real] & open_question).sum()
    shift = _shift(processes.gather(torch.cat(logits)).double(), int(processes.sum(ended)))
    user.stop.bias.add_(shift)
    return shift


def _logit(log_probability: Tensor) -> Tensor:
    return log_probability - torch.log(-torch.expm1(log_probability))


def _shift(logits: Tensor, ended: int) -> float:
    """The x for which the sum of sigmoid(logits + x) is ``ended``, in +-10."""
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        if float(torch.sigmoid(logits + middle).sum()) < ended:
            low = middle
        else:
            high = middle
    return (low + high) / 2
