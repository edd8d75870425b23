"""Ways to the log-probabilities of clicked items: exact as they stand, exact block by block, or sampled."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from irecgan.models.outputs import ItemScores
from irecgan.objectives.softmax import log_probability, sampled_log_probability
from irecgan.training.config import TrainingConfig
from irecgan.training.negatives import Proposal


class Likelihood(Protocol):
    """Log-probabilities of items by the softmax of their scores."""

    def __call__(self, scores: ItemScores, click: Tensor) -> Tensor:
        """Of ``click`` (M,); where it is n, no item, the number means nothing and has no effect. (M,)"""
        ...


def exact(config: TrainingConfig) -> Likelihood:
    """The whole softmax: what held-out sessions are judged by, and learned from unless it is sampled."""
    return plain if config.output == "untied" and config.softmax == "full" else blockwise


def plain(scores: ItemScores, click: Tensor) -> Tensor:
    """Over all scores at once."""
    logits = scores.all()
    return logits.log_softmax(1).gather(1, click.clamp(max=scores.items - 1)[:, None]).squeeze(1)


def blockwise(scores: ItemScores, click: Tensor) -> Tensor:
    """The same, block by block, at the states alone that have a click; 0 at the others."""
    known = click < scores.items
    query, table, bias = scores.where(known).factors()
    found = log_probability(query, table, bias, scores.items, click[known])
    return torch.zeros_like(click, dtype=found.dtype).masked_scatter(known, found)


@dataclass(frozen=True)
class Sampled:
    """Against items drawn from ``proposal``, anew at every call; 0 at states without a click."""

    proposal: Proposal
    generator: torch.Generator

    def __call__(self, scores: ItemScores, click: Tensor) -> Tensor:
        """An estimate, see `sampled_log_probability`. (M,)"""
        known = click < scores.items
        wanted, asked = click[known][:, None], scores.where(known)
        drawn = self.proposal.draw(self.generator)
        log_expected = self.proposal.log_expected[drawn].to(click.device)
        negatives = drawn.to(click.device)
        score = asked.at(wanted).squeeze(1)
        found = sampled_log_probability(score, asked.of(negatives), log_expected, negatives == wanted)
        return torch.zeros_like(click, dtype=found.dtype).masked_scatter(known, found)
