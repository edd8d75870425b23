"""Candidates fitted to one half of the log, to be judged by users of the other half."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from irecgan.data.batch import Sessions
from irecgan.models.latent import LatentUserModel
from irecgan.policies.interface import Policy, Scorer
from irecgan.policies.latent import acting
from irecgan.policies.popularity import Popularity, return_weighted_counts
from irecgan.runs.trained import ranking
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab, make_lab
from irecgan.training.loop import run_phases
from irecgan.training.recipes import Recipe, admitted

MOST = 10_000
"""Sessions of a log that are looked at to choose."""


@dataclass(frozen=True)
class Fitted:
    """A recipe fitted to a fold: the policy it deploys, and the users it found if it found some."""

    learned: str  # the recipe that learned in its name
    policy: Policy[Any]
    scorer: Scorer  # of logged slates
    users: LatentUserModel | None
    seconds: float


def two_folds(data: TrainingData, config: TrainingConfig, streams: Streams) -> tuple[TrainingData, TrainingData] | str:
    """At most MOST sessions in two halves, each with its own sessions to learn from and to stop by; or why not.

    That is where there are fewer than four sessions, or a half has no click to learn from.
    """
    sessions = len(data.train) + len(data.validation)
    if sessions < 4:
        return f"the log has {sessions} sessions, fewer than the 4 that make two halves"
    chosen = torch.randperm(len(data.train), generator=streams.torch("sample"))[:MOST].sort().values
    some = Sessions.concat([data.train.select(chosen), data.validation])
    halves = hold_out(some, 0.5, streams.torch("halves"))
    parts = (hold_out(h, config.validation_share, streams.torch("hold-out", i)) for i, h in enumerate(halves))
    first, second = (replace(data, train=train, validation=validation) for train, validation in parts)
    if not all(bool((half.train.position >= 0).any()) for half in (first, second)):
        return "half of the log has no click to learn from"
    return first, second


def fit(recipe: Recipe, data: TrainingData, config: TrainingConfig, streams: Streams, directory: Path) -> Fitted:
    """``recipe`` fitted to a fold. What is under way lies in ``directory``, and goes on from there.

    Raises UserError where it cannot be fitted to this log.
    """
    directory.mkdir(parents=True, exist_ok=True)
    begin = time.process_time()
    learns, _ = admitted(recipe, data, streams)
    data = replace(data, inputs=learns.reading(data.inputs))
    config = config.over(learns.settings)
    lab = make_lab(data, config, streams, learns.agent_loss, learns.heads, judge=learns.judge, teaches=learns.teaches)
    run_phases(learns, lab, directory)
    scorer, ranker, _ = ranking(_deployed(learns, lab))
    users = lab.latent if "latent" in learns.teaches else None
    return Fitted(learns.name, acting(ranker, lab.slate_size), scorer.score_slates, users, time.process_time() - begin)


def _deployed(recipe: Recipe, lab: Lab) -> Any:
    if recipe.deploys == "popularity":
        return Popularity(return_weighted_counts(lab.data.train, lab.config.gamma, lab.config.lambda_r))
    return lab.model(recipe.deploys).eval().requires_grad_(requires_grad=False)
