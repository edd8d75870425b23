"""What the discriminator adds: an ablation in paired worlds, with intervals and paired tests.

Every variant of a world learns from the same log and meets the same evaluation draws. Four rows come from the same
trainings of irecgan, whose rounds are kept by another rule each.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.evaluation.online import play
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.verdicts import Comparison, judge
from irecgan.files import write_json
from irecgan.models.agent import Agent
from irecgan.policies.logging import logging_policies
from irecgan.policies.ranking import RankingPolicy
from irecgan.policies.translated import Translated
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import make_lab
from irecgan.training.loop import run_phases
from irecgan.training.metrics import read_metrics
from irecgan.training.phases import Fit, Phase, Rounds
from irecgan.training.recipes import RECIPES, Recipe
from irecgan.worlds.mdp import MDPWorld, draw_world

Weights = dict[str, Tensor]
Metrics = dict[str, float | str]
Rule = Callable[[Sequence[Metrics]], int]
"""Which of the rounds to keep, by their metrics."""

SCORE = "discriminator/generated_score"
"""How often D takes generated sessions for logged ones, on average."""


def lowest_loss(rounds: Sequence[Metrics]) -> int:
    """By the held-out loss: what recipes do."""
    return min(range(len(rounds)), key=lambda i: float(rounds[i]["validation"]))


def highest_score(rounds: Sequence[Metrics]) -> int:
    """Where D is deceived most."""
    return max(range(len(rounds)), key=lambda i: float(rounds[i][SCORE]))


def before_the_first_fall(rounds: Sequence[Metrics]) -> int:
    """Stop as soon as D is deceived less than a round before."""
    scores = [float(metrics[SCORE]) for metrics in rounds]
    return next((i - 1 for i in range(1, len(scores)) if scores[i] < scores[i - 1]), len(scores) - 1)


@dataclass(frozen=True)
class Variant:
    """A recipe with settings, and the rules by which a round may be kept: one row each."""

    recipe: Recipe
    settings: dict[str, Any]
    rules: dict[str, Rule]


_ADAPTING = replace(
    RECIPES["pgu"],
    phases=(Fit("user"), Fit("agent"), Rounds(scored=False, user=True, keeps=("agent",))),
)
_BY_D = {
    "irecgan": lowest_loss,
    "irecgan, kept where D is deceived most": highest_score,
    "irecgan, stopped when D is deceived less": before_the_first_fall,
    "irecgan, last round": lambda rounds: len(rounds) - 1,
}
VARIANTS = (
    Variant(RECIPES["pg"], {}, {"pg": lambda _: -1}),
    Variant(RECIPES["pgu"], {}, {"pgu": lowest_loss}),
    Variant(_ADAPTING, {}, {"pgu, U learns on": lowest_loss}),
    Variant(RECIPES["irecgan"], {}, _BY_D),
    Variant(RECIPES["pgu"], {"generated_ratio": 1.0}, {"pgu, 1:1": lowest_loss}),
    Variant(RECIPES["irecgan"], {"generated_ratio": 1.0}, {"irecgan, 1:1": lowest_loss}),
)
PAIRS = (
    ("pgu", "pg"),
    ("irecgan", "pgu"),
    ("irecgan", "pgu, U learns on"),
    ("irecgan, kept where D is deceived most", "irecgan"),
    ("irecgan, stopped when D is deceived less", "irecgan"),
    ("irecgan, last round", "irecgan"),
    ("pgu, 1:1", "pgu"),
    ("irecgan, 1:1", "pgu, 1:1"),
)
WORTHWHILE = 0.03
"""About 1 % of the reward."""


def learned(variant: Variant, sessions: Sessions, final_slates: bool, seed: int, rounds: int) -> dict[str, Weights]:
    """The agent's weights, for every rule."""
    streams = Streams(seed)
    data = TrainingData(*hold_out(sessions, 0.1, streams.torch("hold-out")), final_slates)
    config = TrainingConfig.checked({**PRESETS["small"], "rounds": rounds, **variant.settings})
    recipe = variant.recipe
    lab = make_lab(data, config, streams, recipe.agent_loss, recipe.heads, judge=recipe.judge, teaches=recipe.teaches)
    kept: list[Weights] = []

    def keep(phase: Phase, units: int) -> None:
        if phase.name == "rounds" and units:
            kept.append({key: value.clone() for key, value in lab.agent.state_dict().items()})

    with tempfile.TemporaryDirectory() as folder:
        run_phases(recipe, lab, Path(folder), keep)
        metrics = [line for line in read_metrics(Path(folder)) if line["phase"] == "rounds"]
    last = {key: value.clone() for key, value in lab.agent.state_dict().items()}
    return {name: kept[rule(metrics)] if kept else last for name, rule in variant.rules.items()}


def worth(weights: Weights, world: MDPWorld, catalogue: Catalogue, args: argparse.Namespace, seed: int) -> float:
    """The cumulative reward of an agent's top-k slates."""
    agent = Agent(TrainingConfig.checked(PRESETS["small"]).size(len(catalogue)))
    agent.load_state_dict(weights)
    policy = Translated.from_catalogue(RankingPolicy(agent, world.slate_size), catalogue, world.catalogue_size)
    return play(policy, world, args.evaluation_sessions, Streams(seed).child("evaluate")).cumulative_reward.mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laws", default="dirichlet:0.02,softmax", help="transition laws, with commas")
    parser.add_argument("--log", default="mix", help="the logging policy")
    parser.add_argument("--seeds", type=int, default=5, help="worlds of each law")
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--rounds", type=int, default=10, help="at most; patience ends them")
    parser.add_argument("--evaluation-sessions", type=int, default=8_000)
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, comparisons = [], []
    for law in args.laws.split(","):
        found: dict[str, list[float]] = {}
        for seed in range(args.seeds):
            world = draw_world(law, seed=seed)
            streams = Streams(seed).child("simulate")
            policy = logging_policies(world)[args.log]
            log = simulated_log(policy, world, args.sessions, max_length=1_000, streams=streams)
            catalogue = Catalogue.from_log(log)
            sessions = encode(log, catalogue)
            for variant in VARIANTS:
                for name, weights in learned(variant, sessions, log.ends_unclicked, seed, args.rounds).items():
                    found.setdefault(name, []).append(worth(weights, world, catalogue, args, seed))
        rows.append({"law": law, "log": args.log, "rewards": found})
        for name, values in found.items():
            print(f"{law}, {args.log}: {name}: {over_seeds(values)}", flush=True)
        for name, reference in PAIRS:
            gain = [a - b for a, b in zip(found[name], found[reference], strict=True)]
            comparisons.append(Comparison(f"{name} beats {reference}", law, gain, WORTHWHILE))
    tests = [test for judged in judge(comparisons) for test in judged.tests]
    for test in tests:
        c = test.comparison
        interval = f"{test.mean:+.3f} [{test.low:+.3f}, {test.high:+.3f}]"
        print(f"{c.claim}; {c.label}: {interval}, p {test.p:.3f}: {test.verdict}")
    if args.out:
        write_json(args.out, {"cells": rows, "tests": [test.to_json() for test in tests]})


if __name__ == "__main__":
    main()
