"""Do the slates of a log tell what its policy knew? Held-out slates given history, against their marginal."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.special import stdtrit
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.data.order import in_order
from irecgan.seeding import Streams
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.gates import Finding
from irecgan.training.ratios import ratio

CONFIDENCE = 0.999
"""Of the interval by which it is decided: one log in 2,000 whose slates tell nothing passes."""
SILENT = 0.03
"""Nats per item below which, by the upper end of the interval, slates tell nothing."""
_LEAST_SESSIONS = 20
"""Held-out sessions without which they are not said to."""
_SESSIONS = 50_000
"""Logged sessions that are counted at most, and looked at in the test."""
_PSEUDO_COUNTS: tuple[float, ...] = tuple(10 ** (i / 2) for i in range(-4, 13))


@dataclass(frozen=True)
class Shows:
    """Items shown, one by one: N items in steps of S sessions."""

    context: Tensor  # (N,) the item clicked before, n for one that is not known, n + 1 at the first step
    item: Tensor  # (N,)
    step: Tensor  # (N,) the step, counted on over all sessions
    session: Tensor  # (steps,) the session of each step
    sessions: int
    items: int  # n

    @classmethod
    def of(cls, sessions: Sessions) -> "Shows":
        """The known items of all slates of ``sessions``."""
        nothing, parts, steps, first = sessions.catalogue_size, [], [], 0
        for rows in in_order(sessions.steps, 1024):
            batch = sessions.batch(rows)
            start = torch.full((len(batch), 1), nothing + 1)
            before = torch.cat([start, batch.click[:, :-1]], dim=1)  # (B, T)
            known = batch.shown & (batch.slate < nothing)
            used = known.any(2)
            step, place = known[used].nonzero().unbind(1)
            parts.append(torch.stack([before[used][step], batch.slate[used][step, place], step + first]))
            steps.append(rows[used.nonzero()[:, 0]])
            first += len(steps[-1])
        context, item, step = torch.cat(parts, dim=1)
        return cls(context, item, step, torch.cat(steps), len(sessions), nothing)

    def by_session(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over a session's steps of the mean of ``value`` (N,) over a step's items, and the steps. (S,), (S,)"""
        size = torch.bincount(self.step, minlength=len(self.session))
        total = torch.zeros(len(self.session), dtype=torch.float64).index_add(0, self.step, value)
        sums = torch.zeros(self.sessions, dtype=torch.float64).index_add(0, self.session, total / size)
        return sums, torch.bincount(self.session, minlength=self.sessions)


class ShownCounts:
    """How often items were shown, in all and after each click; pairs that never were take no memory."""

    def __init__(self, shows: Shows) -> None:
        self.items = shows.items
        self.of_item = torch.bincount(shows.item, minlength=shows.items).double()
        self.of_context = torch.bincount(shows.context, minlength=shows.items + 2).double()
        self.pairs, number = (shows.context * shows.items + shows.item).unique(return_counts=True)
        self.of_pair = number.double()

    def marginal(self, item: Tensor, pseudo_count: float) -> Tensor:
        """The chance that an item shown is ``item`` (N,), every item having ``pseudo_count`` more. (N,)"""
        return (self.of_item[item] + pseudo_count) / (self.of_item.sum() + pseudo_count * self.items)

    def given(self, context: Tensor, item: Tensor, marginal: Tensor, weight: float) -> Tensor:
        """The same after ``context`` (N,), shrunk to the ``marginal`` (N,) that weighs as ``weight`` counts. (N,)

        The posterior mean under a Dirichlet prior around the marginal (MacKay and Peto, 1995, "A hierarchical Dirichlet
        language model"). An infinite weight, or counts of nothing, give the marginal itself.
        """
        if math.isinf(weight) or not len(self.pairs):
            return marginal
        key = context * self.items + item
        place = torch.searchsorted(self.pairs, key).clamp(max=len(self.pairs) - 1)
        seen = torch.where(self.pairs[place] == key, self.of_pair[place], 0.0)
        return (seen + weight * marginal) / (self.of_context[context] + weight)


def slate_information(data: TrainingData, streams: Streams) -> Finding:
    """Whether held-out slates are likelier given the last click than by how often items are shown at all.

    A policy that chose by what it knew of the user leaves slates that history foretells; slates drawn at random
    do not, and imitating them teaches nothing. Two tables are counted on the sessions to learn from; how far they
    are smoothed is decided on a tenth of these, and the gain is measured on the held-out ones: in nats per item shown,
    with an interval over sessions. What history tells beyond its last click is not looked at, so the gain is
    a lower bound. Random slates: the prior swallows the counts, and the gain is 0. Slates are silent where the gain is
    certainly small; a log of few sessions may be found neither silent nor informative.
    """
    learn = data.train.select(torch.arange(min(_SESSIONS, len(data.train))))
    held = data.validation.select(torch.arange(min(_SESSIONS, len(data.validation))))
    epsilon, weight = _smoothing(learn, streams) if len(learn) > 1 else (1.0, math.inf)
    counts, test = ShownCounts(Shows.of(learn)), Shows.of(held)
    marginal = counts.marginal(test.item, epsilon)
    gain = counts.given(test.context, test.item, marginal, weight).log() - marginal.log()
    mean, margin = _mean_and_margin(*test.by_session(gain))
    passed = mean - margin > 0
    certain = f"± {margin:.4f}" if math.isfinite(margin) else "(too few held-out clicks to say how certain)"
    found = f"{mean:+.4f} {certain} nats per item shown"
    text = f"slates are foretold by clicks: {found}" if passed else f"slates tell nothing that clicks foretell: {found}"
    silent = len(held) >= _LEAST_SESSIONS and mean + margin < SILENT
    metrics = {
        "slates/information": mean,
        "slates/margin": margin,
        "slates/informative": float(passed),
        "slates/silent": float(silent),
    }
    return Finding(passed, text, {key: value for key, value in metrics.items() if math.isfinite(value)})


def _smoothing(sessions: Sessions, streams: Streams) -> tuple[float, float]:
    """The pseudo-count of the marginal, and the weight of the marginal in the conditional, that a tenth likes best."""
    rest, tenth = hold_out(sessions, 0.1, streams.torch("slate-information"))
    counts, asked = ShownCounts(Shows.of(rest)), Shows.of(tenth)

    def best(values: Sequence[float], chance: Callable[[float], Tensor]) -> float:
        return max(values, key=lambda value: float(asked.by_session(chance(value).log())[0].sum()))

    epsilon = best(_PSEUDO_COUNTS, lambda value: counts.marginal(asked.item, value))
    marginal = counts.marginal(asked.item, epsilon)
    weights = (math.inf, *_PSEUDO_COUNTS)
    return epsilon, best(weights, lambda value: counts.given(asked.context, asked.item, marginal, value))


def _mean_and_margin(totals: Tensor, steps: Tensor) -> tuple[float, float]:
    """The mean per step and half its interval at CONFIDENCE, sessions being the unit. Of one session: infinite."""
    mean, error = ratio(totals, steps)
    return mean, float(stdtrit(len(totals) - 1, (1 + CONFIDENCE) / 2)) * error if math.isfinite(error) else error
