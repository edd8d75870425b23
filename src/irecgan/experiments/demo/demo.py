"""The whole path in a few minutes: a world, its log, three trainings, what they are worth, a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irecgan.data.log import SessionLog
from irecgan.evaluation.evaluate import OnlineEvaluation, evaluate
from irecgan.evaluation.online import OnlineResult
from irecgan.experiments.demo.plots import coverage_plot, health_plot, learning_plot, reward_plot
from irecgan.experiments.frame.report import Section, Table, render
from irecgan.files import atomic_directory, write_json, write_text
from irecgan.policies.logging import MixPolicy
from irecgan.seeding import Streams
from irecgan.simulation import LONGEST, simulated_log
from irecgan.training.config import TrainingConfig
from irecgan.training.metrics import read_metrics
from irecgan.training.train import train
from irecgan.worlds.mdp import draw_world

RECIPES = ("lstm", "pg", "irecgan")
_SHOWN = ("oracle", "max", "belief", "static", "mix", "popularity", "co_click", "last_first", "random", *RECIPES)


@dataclass(frozen=True)
class Demo:
    """What the demo found, and where its report lies."""

    evaluation: OnlineEvaluation
    report: Path


def run_demo(out: Path, *, sessions: int, evaluation_sessions: int, seed: int, config: TrainingConfig) -> Demo:
    """Play the whole path into the new directory ``out``."""
    with atomic_directory(out) as directory:
        world = draw_world("softmax", seed=seed)
        world.save(directory / "WORLD.json")
        streams = Streams(seed).child("simulate")
        log = simulated_log(MixPolicy(world), world, sessions, max_length=LONGEST, streams=streams)
        log.write(directory / "log.parquet")
        runs = [directory / "runs" / recipe for recipe in RECIPES]
        for recipe, run in zip(RECIPES, runs, strict=True):
            train(log, recipe=recipe, out=run, seed=seed, settings=config)
        found = evaluate(runs, world=world, baselines=True, sessions=evaluation_sessions, seed=seed)
        if not isinstance(found, OnlineEvaluation):
            raise TypeError("an evaluation in a world is online")
        metrics = {run.name: read_metrics(run) for run in runs}
        write_json(directory / "evaluation.json", found.to_json())
        write_text(directory / "report.html", _report(found, metrics, log))
    return Demo(found, out / "report.html")


def _report(found: OnlineEvaluation, metrics: dict[str, list[dict[str, Any]]], log: SessionLog) -> str:
    results = {name: found.runs[name] for name in _SHOWN if name in found.runs}
    sampled = {f"{name} (sampled)": result for name, result in found.sampled.items()}
    learned = [*RECIPES, *sampled]
    return render(
        "irecgan: the whole path",
        f"{log.sessions} sessions of the mix policy were logged in a simulated world of 10 hidden states and 50 items. "
        f"Three policies learned from them, and every policy then played {found.sessions} sessions in the true world.",
        [
            Section(
                "What the policies are worth",
                "Expected clicks of a session, with 95 % intervals. Oracle and max observe the hidden state and are "
                "exact. Belief knows the world but sees only clicks, as the learned policies do: it is the fair "
                "ceiling. Static is the best pair of fixed slates, popularity the naive count in the log, co_click "
                "what was clicked in the same sessions, last_first the last click before the popular items. Learned "
                "policies show their top 10; 'sampled' draws the slates as the agent does while it learns.",
                table=_table(results | sampled),
                plot=reward_plot(results | sampled, learned),
            ),
            Section(
                "Coverage",
                "The share of the r best items of the true state that stand in the slate.",
                plot=coverage_plot(results, learned),
            ),
            Section(
                "Learning curves",
                "Loss on sessions held out from training; a dot marks the weights that were kept.",
                plot=learning_plot(metrics),
            ),
            Section(
                "Health of the discriminator",
                "At an accuracy near 1 generated sessions would hardly weigh, at 0.5 their scores would say nothing. "
                "Generated sessions should be as long as logged ones.",
                plot=health_plot(metrics["irecgan"]),
            ),
        ],
    )


def _table(results: dict[str, OnlineResult]) -> Table:
    """What every policy is worth, the best first."""
    heads = ["policy", "cumulative reward", "coverage@1", "coverage@3", "coverage@10"]
    rows = [
        [name, str(r.cumulative_reward), *(f"{r.coverage[depth - 1].mean:.3f}" for depth in (1, 3, 10))]
        for name, r in sorted(results.items(), key=lambda pair: -pair[1].cumulative_reward.mean)
    ]
    return Table(heads, rows)
