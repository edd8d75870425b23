"""Plots of trainings and evaluations, as SVG text."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irecgan.evaluation.online import OnlineResult
from irecgan.experiments.frame.drawing import styled, svg

Metrics = Sequence[Mapping[str, Any]]


def reward_plot(results: Mapping[str, OnlineResult], learned: Sequence[str]) -> str:
    """Cumulative rewards with intervals, best first; ``learned`` policies stand out."""
    best = sorted(results.items(), key=lambda pair: pair[1].cumulative_reward.mean)
    names = [name for name, _ in best]
    intervals = [result.cumulative_reward for _, result in best]
    means = [interval.mean for interval in intervals]
    errors = [[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]]
    colours = ["tab:blue" if name in learned else "lightgrey" for name in names]
    with styled():
        figure = Figure(figsize=(7, 0.3 * len(names) + 0.8), layout="constrained")
        axes = figure.subplots()
        bars = axes.barh(names, means, xerr=errors, color=colours, ecolor="black", capsize=2)
        axes.bar_label(bars, [f"{mean:.2f}" for mean in means], padding=6)
        axes.set_xlabel("cumulative reward a session")
        axes.set_xlim(0, 1.1 * max(i.high for i in intervals))
        return svg(figure)


def coverage_plot(results: Mapping[str, OnlineResult], learned: Sequence[str]) -> str:
    """Coverage@r by r; policies of reference are dashed."""
    with styled():
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.subplots()
        for name, result in results.items():
            depths = range(1, len(result.coverage) + 1)
            style = "o-" if name in learned else "--"
            axes.plot(depths, [i.mean for i in result.coverage], style, markersize=3, label=name)
        axes.set(xlabel="r", ylabel="coverage@r", ylim=(0, 1.05))
        figure.legend(loc="outside right upper")
        return svg(figure)


def learning_plot(runs: Mapping[str, Metrics]) -> str:
    """Loss on held-out sessions by epoch or round, a panel for each run; a dot marks the best of a phase."""
    with styled():
        figure = Figure(figsize=(7, 2.1 * len(runs)), layout="constrained")
        panels = figure.subplots(len(runs), 2, squeeze=False)
        for (name, metrics), (user, agent) in zip(runs.items(), panels, strict=True):
            _curve(user, metrics, "user", f"{name}: user model")
            _curve(agent, metrics, "agent", f"{name}: agent")
        return svg(figure)


def health_plot(metrics: Metrics) -> str:
    """The discriminator of a run: its accuracy, its scores of generated steps, and session lengths."""
    rounds = [line for line in metrics if line["phase"] == "rounds"]
    numbers = range(1, len(rounds) + 1)
    with styled():
        figure = Figure(figsize=(7, 2.6), layout="constrained")
        accuracy, score, length = figure.subplots(1, 3)
        accuracy.plot(numbers, [line["discriminator/accuracy"] for line in rounds], "o-", markersize=3)
        accuracy.axhline(0.5, color="grey", linestyle=":")
        accuracy.set(title="accuracy of D", xlabel="round", ylim=(0, 1.05))
        mean = [line["generated/score_mean"] for line in rounds]
        spread = [line["generated/score_std"] for line in rounds]
        score.errorbar(numbers, mean, yerr=spread, fmt="o-", markersize=3, capsize=2)
        score.set(title="q of generated steps, mean ± sd", xlabel="round", ylim=(0, 1.05))
        length.plot(numbers, [line["generated/clicks"] for line in rounds], "o-", markersize=3, label="generated")
        length.plot(numbers, [line["logged/clicks"] for line in rounds], "--", color="grey", label="logged")
        length.set(title="clicks a session", xlabel="round")
        length.set_ylim(bottom=0)
        length.legend()
        return svg(figure)


def _curve(axes: Axes, metrics: Metrics, model: str, title: str) -> None:
    values = [(line["phase"], line[f"{model}/validation"]) for line in metrics if f"{model}/validation" in line]
    axes.set(title=title, xlabel="epoch, then round", ylabel="held-out loss")
    if not values:
        axes.text(0.5, 0.5, "does not learn", ha="center", va="center", transform=axes.transAxes, color="grey")
        return
    for phase in dict.fromkeys(phase for phase, _ in values):
        points = [(i, value) for i, (p, value) in enumerate(values, start=1) if p == phase]
        (line,) = axes.plot(*zip(*points, strict=True), "-", label=phase)
        best = min(points, key=lambda point: point[1])
        axes.plot(*best, "o", color=line.get_color(), markersize=4)
    axes.legend()
