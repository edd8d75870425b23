"""What distillation costs: a planner's slates learned by an agent that reads clicks alone, in paired worlds.

The planner is `BeliefPolicy`, which knows the world: its sessions are made in the world itself, so that what is lost
is lost by distillation alone.
"""

import argparse
import time
from pathlib import Path

import torch

from irecgan.evaluation.online import play
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.files import write_json
from irecgan.models.agent import Agent
from irecgan.models.recurrent import Size, initialise
from irecgan.policies.belief import BeliefPolicy
from irecgan.policies.ranking import RankingPolicy
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.distillation import lessons
from irecgan.training.learner import Learner
from irecgan.training.losses import slate_imitation
from irecgan.worlds.mdp import draw_world


def measured(args: argparse.Namespace, seed: int) -> dict[str, float]:
    """The worth of a planner and of its pupil."""
    world, streams = draw_world(args.law, seed=seed), Streams(seed)
    planner = BeliefPolicy(world, streams.torch("belief"))
    agent = Agent(Size(world.catalogue_size, units=args.units, layers=1, cell="gru"))
    initialise(agent, streams.torch("initialise"))
    policy, config = RankingPolicy(agent, world.slate_size), TrainingConfig()
    learner, begin = Learner(agent, args.rate, config.agent_clip), time.perf_counter()
    for epoch in range(args.epochs):
        if epoch == args.epochs * 2 // 3:  # the last third with smaller steps
            learner.learn_at(args.rate / 5)
        generator = streams.torch("lessons", epoch)
        made = lessons(planner, policy, world, args.sessions, share=args.share, max_length=200, generator=generator)
        shuffle = streams.torch("shuffle", epoch)
        learner.epoch(lambda batch: slate_imitation(agent, batch, config), made, config.batch_size, shuffle)
    seconds = time.perf_counter() - begin
    values = [
        play(who, world, args.evaluation_sessions, streams.child("evaluate")).cumulative_reward.mean
        for who in (planner, policy)
    ]
    return {"planner": values[0], "agent": values[1], "loss": 1 - values[1] / values[0], "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--law", default="dirichlet:0.02")
    parser.add_argument("--seeds", type=int, default=3, help="worlds")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--sessions", type=int, default=2_000, help="fresh ones an epoch")
    parser.add_argument("--share", type=float, default=0.5, help="of them played by the planner")
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--evaluation-sessions", type=int, default=8_000)
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for seed in range(args.seeds):
        results.append(measured(args, seed))
        print(seed, {key: round(value, 3) for key, value in results[-1].items()}, flush=True)
    for key in results[0]:
        print(key, over_seeds([result[key] for result in results]))
    if args.out:
        write_json(args.out, results)


if __name__ == "__main__":
    main()
