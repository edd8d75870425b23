"""The phases of the recipes ``linear`` and ``boosting``: each unit is a fit of its own, of which the best is kept."""

from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.errors import UserError
from irecgan.models.lists import ListUserModel
from irecgan.models.networks import ModelName
from irecgan.models.trees import Trees
from irecgan.training.journal import Metrics
from irecgan.training.lab import Lab
from irecgan.training.lists.boosting import fit_trees
from irecgan.training.lists.dataset import ClickedLists, within_lists
from irecgan.training.lists.linear import fit_weights, scored

RIDGES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
"""Precisions of a normal prior on every weight, from strong to weak."""
LEAVES = (4, 8, 16, 31)
"""Of a tree, at most: the more, the more features can act together."""


@dataclass(frozen=True)
class FitLinear:
    """Fit the conditional logit with one prior per unit; those weights are kept that make held-out clicks likeliest."""

    name: str = "fit-linear"
    keeps: tuple[ModelName, ...] = ("linear",)
    teaches: tuple[ModelName, ...] = ("linear",)

    def limit(self, lab: Lab) -> int:
        """The priors to try."""
        _expect_features(lab.linear, self.name)
        return len(RIDGES)

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One prior, from the weights of the one before."""
        terms = lab.linear.terms
        assert terms is not None
        learn, held_out = lists_of(lab, lab.linear)
        weight = fit_weights(learn, terms.widened, RIDGES[index], terms.weight.detach().cpu())
        with torch.no_grad():
            terms.weight.copy_(weight)
        set_averages(lab, lab.linear)
        return {
            "linear/ridge": RIDGES[index],
            "linear/loss": _loss(scored(learn, terms.widened, weight), learn),
            "validation": _loss(scored(held_out, terms.widened, weight), held_out),
        }


@dataclass(frozen=True)
class FitBoosting:
    """Fit boosted trees of one size per unit, and keep those under which held-out clicks are likeliest."""

    name: str = "fit-boosting"
    keeps: tuple[ModelName, ...] = ("boosting",)
    teaches: tuple[ModelName, ...] = ("boosting",)

    def limit(self, lab: Lab) -> int:
        """The sizes to try."""
        _expect_features(lab.boosting, self.name)
        return len(LEAVES)

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One size."""
        trees = lab.boosting.chooser
        assert isinstance(trees, Trees)
        learn, held_out = lists_of(lab, lab.boosting)
        seed = int(torch.randint(2**31 - 1, (), generator=lab.streams.torch(self.name, index)))
        names = [feature.name for feature in trees.features]
        trees.set_tables(fit_trees(learn, held_out, names, LEAVES[index], seed))
        set_averages(lab, lab.boosting)
        return {
            "boosting/leaves": float(LEAVES[index]),
            "boosting/trees": float(len(trees)),
            "boosting/loss": _loss(trees.sums(learn.values.double()), learn),
            "validation": _loss(trees.sums(held_out.values.double()), held_out),
        }


def lists_of(lab: Lab, model: ListUserModel) -> tuple[ClickedLists, ClickedLists]:
    """The lists to learn from, and those held out."""
    features, statistics = model.chooser.features, model.statistics.to(torch.device("cpu"))
    learn = ClickedLists.of(lab.data.train, features, statistics, own=True)
    return learn, ClickedLists.of(lab.data.validation, features, statistics, own=False)


def set_averages(lab: Lab, model: ListUserModel) -> None:
    """How often sessions end, and what a click is worth, in the log that is learned from."""
    train = lab.data.train
    clicked = train.position >= 0
    model.set_averages(float((~clicked).double().mean()), float(train.reward[clicked].double().mean()))


def _loss(scores: Tensor, lists: ClickedLists) -> float:
    """Minus the log-likelihood of the clicks, per session."""
    return -float(within_lists(scores, lists)[1].sum()) / lists.sessions


def _expect_features(model: ListUserModel, phase: str) -> None:
    if not model.chooser.features:
        raise UserError(f"setting terms: found none; {phase} expects at least one, or all")
