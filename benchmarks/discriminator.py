"""What the discriminator adds: an ablation in paired worlds, with intervals and paired tests.

    python benchmarks/discriminator.py --out discriminator.json

Every variant of a world learns from the same log and meets the same evaluation draws. Rows that differ in their rule
alone come from one training, whose rounds are kept by another rule each. Rows that ``--out`` has already are not
measured again. p values are corrected over all comparisons of a question.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from discriminator_variants import BLIND, ENSEMBLE, STEPS, VARIANTS, History, States, Variant, Weights, fit_once
from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.evaluation.online import play
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.verdicts import Comparison, Tested, judge
from irecgan.files import write_json
from irecgan.models.agent import Agent
from irecgan.policies.logging import logging_policies
from irecgan.policies.ranking import RankingPolicy
from irecgan.policies.translated import Translated
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.loop import run_phases
from irecgan.training.metrics import read_metrics
from irecgan.training.phases import Phase
from irecgan.worlds.mdp import MDPWorld, draw_world

Rewards = dict[str, float]

QUESTIONS = {
    "generated sessions help": (("pgu", "pg"), ("pgu, 1:1", "pgu")),
    "the paper's weights help": (
        ("irecgan", "pgu"),
        ("irecgan", "pgu, U learns on"),
        ("irecgan, 1:1", "pgu, 1:1"),
        ("irecgan, 1:1", "pgu, U learns on, 1:1"),
    ),
    "other weights of D help": (
        (STEPS, "pgu, U learns on, 1:1"),
        (BLIND, "pgu, U learns on, 1:1"),
    ),
    "D chooses the round better than the held-out loss": (
        ("irecgan, kept where D is deceived most", "irecgan"),
        ("irecgan, stopped when D is deceived less", "irecgan"),
        ("irecgan, kept where one D of all rounds is deceived most", "irecgan"),
    ),
    "any rule could choose the round better": (("irecgan, truly best round", "irecgan"),),
    "D is better for reading slates": ((STEPS, BLIND),),
    "an ensemble of U as a weight helps": ((ENSEMBLE, "pgu, 1:1"),),
}
"""The pairs of rows behind each question: better, and reference."""
WORTHWHILE = 0.03
"""About 1 % of the reward."""


class World:
    """A world with one log, its training data and its evaluation."""

    def __init__(self, law: str, seed: int, args: argparse.Namespace) -> None:
        self.world: MDPWorld = draw_world(law, seed=seed)
        self.seed = seed
        self.evaluation_sessions: int = args.evaluation_sessions
        streams = Streams(seed).child("simulate")
        policy = logging_policies(self.world)[args.log]
        log = simulated_log(policy, self.world, args.sessions, max_length=1_000, streams=streams)
        self.catalogue = Catalogue.from_log(log)
        self.sessions: Sessions = encode(log, self.catalogue)
        self.final_slates = log.ends_unclicked

    def data(self, streams: Streams) -> TrainingData:
        """The log, a tenth of it held out."""
        return TrainingData(*hold_out(self.sessions, 0.1, streams.torch("hold-out")), self.final_slates)

    def worth(self, weights: Weights, draws: str = "evaluate") -> float:
        """The cumulative reward of an agent's top-k slates."""
        agent = Agent(TrainingConfig.checked(PRESETS["small"]).size(len(self.catalogue)))
        agent.load_state_dict(weights)
        ranking = RankingPolicy(agent, self.world.slate_size)
        policy = Translated.from_catalogue(ranking, self.catalogue, self.world.catalogue_size)
        streams = Streams(self.seed).child(draws)
        return play(policy, self.world, self.evaluation_sessions, streams).cumulative_reward.mean


def settings(variant: Variant, rounds: int) -> TrainingConfig:
    return TrainingConfig.checked({**PRESETS["small"], "rounds": rounds, **variant.settings})


def learned(variant: Variant, world: World, rounds: int, fitted: States) -> dict[str, Weights]:
    """The agent's weights, for every rule."""
    streams = Streams(world.seed)
    lab = variant.lab(world.data(streams), settings(variant, rounds), streams, fitted)
    kept: list[Weights] = []

    def weights() -> Weights:
        return {key: value.clone() for key, value in lab.agent.state_dict().items()}

    def keep(phase: Phase, units: int) -> None:
        if phase.name == "rounds" and units:
            kept.append(weights())

    with tempfile.TemporaryDirectory() as folder:
        run_phases(variant.rest, lab, Path(folder), keep)
        metrics = [line for line in read_metrics(Path(folder)) if line["phase"] == "rounds"]
    if not kept:  # it has no rounds
        return dict.fromkeys(variant.rules, weights())
    history = History(lab, metrics, kept, partial(world.worth, draws="choose"))
    return {name: kept[rule(history)] for name, rule in variant.rules.items()}


def measure(args: argparse.Namespace, cells: list[dict[str, Any]], law: str, seed: int) -> Rewards:
    """All rows of a world: those that ``cells`` have, and those measured now, which are added to them and written."""
    key = {"law": law, "log": args.log, "seed": seed, "sessions": args.sessions}
    key |= {"evaluation_sessions": args.evaluation_sessions, "rounds": args.rounds}
    cell = next((cell for cell in cells if cell["of"] == key), None)
    if cell is None:
        cell = {"of": key, "rewards": {}}
        cells.append(cell)
    rewards: Rewards = cell["rewards"]
    missing = [variant for variant in VARIANTS if not variant.rules.keys() <= rewards.keys()]
    if not missing:
        return rewards
    world, streams = World(law, seed, args), Streams(seed)
    fitted = fit_once(world.data(streams), settings(VARIANTS[0], args.rounds), streams)
    for variant in missing:
        found = learned(variant, world, args.rounds, fitted)
        rewards |= {name: world.worth(weights) for name, weights in found.items()}
        if args.out:
            write_json(args.out, {"cells": cells, "tests": []})
    return rewards


def compared(laws: Sequence[str], found: dict[str, list[Rewards]]) -> list[Tested]:
    """The paired tests of all questions."""
    comparisons = []
    for question, pairs in QUESTIONS.items():
        for name, reference in pairs:
            for law in laws:
                gains = [rewards[name] - rewards[reference] for rewards in found[law]]
                comparisons.append(Comparison(question, f"{name} - {reference}; {law}", gains, WORTHWHILE))
    return [test for judged in judge(comparisons) for test in judged.tests]


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
    cells = json.loads(args.out.read_text(encoding="utf-8"))["cells"] if args.out and args.out.exists() else []
    laws, found = args.laws.split(","), {}
    for law in laws:
        found[law] = [measure(args, cells, law, seed) for seed in range(args.seeds)]
        for name in (name for variant in VARIANTS for name in variant.rules):
            print(f"{law}, {args.log}: {name}: {over_seeds([r[name] for r in found[law]])}", flush=True)
    tests = compared(laws, found)
    for test in tests:
        c = test.comparison
        print(f"{c.claim}: {c.label}: {test}: {test.verdict}")
    if args.out:
        write_json(args.out, {"cells": cells, "tests": [test.to_json() for test in tests]})


if __name__ == "__main__":
    main()
