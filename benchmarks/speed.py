"""Sessions per second and seconds per epoch on one core, at the paper's network sizes.

Each figure is the best of several repeats on a warm process; ``--units`` and ``--threads`` change the setting.
Lengths follow the log's: sessions of the random policy have about 2 clicks, of max about 8.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch

from irecgan.data.batch import Sessions
from irecgan.policies.interface import Policy
from irecgan.policies.logging import MaxPolicy, RandomPolicy
from irecgan.policies.presented import PresentedOrder
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.training.calibration import calibrate_stop
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab, make_lab
from irecgan.training.phases import discriminator_epoch
from irecgan.training.recipes import find_recipe
from irecgan.worlds.mdp import MDPWorld, draw_world
from irecgan.worlds.shop_calibration import draw_shop


def lab_on(world: MDPWorld, policy: Policy[Any], args: argparse.Namespace) -> Lab:
    """Networks after one epoch on a log of ``policy``, so that lengths are those of the log."""
    batch = rollout(policy, world, args.sessions, max_length=1_000, generator=torch.Generator().manual_seed(0))
    train, validation = hold_out(Sessions.from_batch(batch), 0.1, torch.Generator().manual_seed(0))
    mean = float(batch.clicked.sum(1).float().mean())
    config = TrainingConfig(units=args.units, max_length=round(2 * mean), user_learning_rate=1e-3)
    data = TrainingData(train, validation, final_slates=True)
    lab = make_lab(data, config, Streams(0), find_recipe("irecgan").agent_loss)
    for model in ("user", "agent"):
        lab.learners[model].epoch(lab.losses[model], train, 32, torch.Generator().manual_seed(1))
    calibrate_stop(lab.user, train)
    return lab


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of ``repeats`` runs."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def figures(lab: Lab, world: MDPWorld, policy: Policy[Any], args: argparse.Namespace) -> dict[str, float]:
    """Everything that is timed on one log."""
    train, repeats = lab.data.train, args.repeats
    scale = 1_000 / len(train)

    def generate(sessions: int, *, scored: bool) -> float:
        made = seconds(lambda: lab.generate(sessions, torch.Generator().manual_seed(2), scored=scored), repeats)
        return sessions / made

    def epoch(model: str) -> float:
        learner, loss = lab.learners[model], lab.losses[model]  # type: ignore[index]
        return scale * seconds(lambda: learner.epoch(loss, train, 32, torch.Generator().manual_seed(3)), repeats)

    def simulate() -> object:
        return rollout(policy, world, 5_000, max_length=1_000, generator=torch.Generator().manual_seed(4))

    return {
        "generated sessions/s": generate(args.generated, scored=False),
        "generated sessions/s with scores": generate(args.scored, scored=True),
        "A epoch, s per 1,000 sessions": epoch("agent"),
        "U epoch, s per 1,000 sessions": epoch("user"),
        "D epoch, s per 1,000 sessions": scale * seconds(lambda: discriminator_epoch(lab, ("speed",)), repeats),
        "simulator sessions/s": 5_000 / seconds(simulate, repeats),
        "clicks per generated session": float(
            lab.generate(1_000, torch.Generator().manual_seed(2), scored=False).clicked.sum(1).float().mean()
        ),
    }


def shop_figures(repeats: int) -> dict[str, float]:
    """The simulated shop of 40,000 items."""
    world = draw_shop(seed=0)

    def simulate() -> object:
        return rollout(PresentedOrder(), world, 5_000, max_length=1_000, generator=torch.Generator().manual_seed(4))

    return {
        "drawing a shop, s": seconds(lambda: draw_shop(seed=0), repeats),
        "simulator sessions/s": 5_000 / seconds(simulate, repeats),
    }


def printed(log: str, found: dict[str, float]) -> None:
    print(json.dumps({"log": log, **{key: round(value, 2) for key, value in found.items()}}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--generated", type=int, default=1_000, help="sessions generated at once without scores")
    parser.add_argument("--scored", type=int, default=100, help="sessions generated at once with scores")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    printed("shop", shop_figures(args.repeats))
    world = draw_world("softmax", seed=0)
    policies: dict[str, Policy[Any]] = {
        "random": RandomPolicy(world.catalogue_size, world.slate_size),
        "max": MaxPolicy(world),
    }
    for name, policy in policies.items():
        printed(name, figures(lab_on(world, policy, args), world, policy, args))


if __name__ == "__main__":
    main()
