"""Networks that have learned a little, for benchmarks; written so that earlier versions of the package can run it."""

from typing import Any

import torch

from irecgan.data.batch import Sessions
from irecgan.policies.interface import Policy
from irecgan.policies.logging import MaxPolicy, RandomPolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.training.calibration import calibrate_stop
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab, make_lab
from irecgan.training.recipes import find_recipe
from irecgan.worlds.mdp import MDPWorld


def logging_policy(world: MDPWorld, log: str) -> Policy[Any]:
    """The policy ``random``, whose sessions are short, or ``max``, whose sessions are long."""
    return RandomPolicy(world.catalogue_size, world.slate_size) if log == "random" else MaxPolicy(world)


def lab_on(world: MDPWorld, policy: Policy[Any], units: int, sessions: int) -> Lab:
    """Networks after one epoch on a log of ``policy``, so that lengths are those of the log."""
    batch = rollout(policy, world, sessions, max_length=1_000, generator=torch.Generator().manual_seed(0))
    train, validation = hold_out(Sessions.from_batch(batch), 0.1, torch.Generator().manual_seed(0))
    mean = float(batch.clicked.sum(1).float().mean())
    config = TrainingConfig(units=units, max_length=round(2 * mean), user_learning_rate=1e-3)
    data = TrainingData(train, validation, final_slates=True)
    lab = make_lab(data, config, Streams(0), find_recipe("irecgan").agent_loss)
    for model in ("user", "agent"):
        lab.learners[model].epoch(lab.losses[model], train, 32, torch.Generator().manual_seed(1))
    calibrate_stop(lab.user, train)
    return lab
