"""Figures of the experiment ``bias``."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.bias.results import ESTIMATES, Group, Pick, bias_of, deviation, size_of_bias
from irecgan.experiments.bias.settings import ARMS, Arm
from irecgan.experiments.frame.drawing import styled, svg
from irecgan.experiments.frame.study import Json

_COLOURS = {
    "plain": "black",
    "learned": "tab:blue",
    "learned_normalised": "tab:cyan",
    "optimal": "tab:red",
    "optimal_normalised": "tab:orange",
    "prefix": "tab:purple",
}
_QUANTITIES = {
    "delta/mean_abs": "mean |Δ|, where π goes",
    "delta_1/mean_abs": "mean |δ₁|, where π goes",
    "delta_2/mean_abs": "mean |δ₂|, where the log is",
    "weight/mean": "mean w, where π goes",
    "distance/policy": "distance of g from π",
}


def figures(groups: Sequence[Group]) -> dict[str, str]:
    """All figures as SVG, by name."""
    return {"estimates": estimates_plot(groups), "sources": sources_plot(groups), "price": price_plot(groups)}


def estimates_plot(groups: Sequence[Group]) -> str:
    """Bias of every estimate of V_pi round by round, of the models of irecgan; means and 95 % bands over seeds."""
    with styled():
        figure = Figure(figsize=(7.5, 2.5 * _rows_for(groups)), layout="constrained")
        panels = figure.subplots(_rows_for(groups), 2, squeeze=False).flatten()
        for axes, group in zip(panels, groups, strict=False):
            for name, label in ESTIMATES.items():
                _curve(axes, group, "irecgan", _bias_in(name), label=label, colour=_COLOURS[name])
            axes.axhline(0, color="grey", linewidth=0.8, linestyle=":")
            axes.set(title=group.title, xlabel="rounds", ylabel="E[estimate] − V")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        return svg(figure)


def sources_plot(groups: Sequence[Group]) -> str:
    """The sources of bias round by round, with and without a discriminator."""
    colours: dict[Arm, str] = {"irecgan": "tab:blue", "unscored": "tab:orange", "pgu": "grey"}
    with styled():
        figure = Figure(figsize=(2.3 * len(_QUANTITIES), 2.1 * len(groups)), layout="constrained")
        grid = figure.subplots(len(groups), len(_QUANTITIES), squeeze=False)
        for row, group in zip(grid, groups, strict=True):
            for axes, name in zip(row, _QUANTITIES, strict=True):
                for arm in ARMS:
                    _curve(axes, group, arm, _figure(name), label=arm, colour=colours[arm])
                _readable(axes)
            row[0].set_ylabel(group.title)
        for axes, title in zip(grid[0], _QUANTITIES.values(), strict=True):
            axes.set_title(title)
        for axes in grid[-1]:
            axes.set_xlabel("rounds")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(ARMS))
        return svg(figure)


def price_plot(groups: Sequence[Group]) -> str:
    """Size of the bias (dark) and standard deviation over samples (light) of every estimate, at the end of irecgan."""
    names = [name for name in ESTIMATES if name != "prefix"]
    with styled():
        figure = Figure(figsize=(7.5, 2.3 * _rows_for(groups)), layout="constrained")
        panels = figure.subplots(_rows_for(groups), 2, squeeze=False).flatten()
        for axes, group in zip(panels, groups, strict=False):
            for i, name in enumerate(names):
                _bar(axes, i - 0.2, group.mean("irecgan", size_of_bias(name)), _COLOURS[name], 1.0)
                _bar(axes, i + 0.2, group.mean("irecgan", deviation(name)), _COLOURS[name], 0.35)
            labels = [ESTIMATES[name].replace(", ", ",\n").replace(": ", ":\n") for name in names]
            axes.set_xticks(range(len(names)), labels, fontsize=7, rotation=20)
            axes.set(title=group.title, ylabel="|bias|, standard deviation")
        return svg(figure)


def _readable(axes: Axes) -> None:
    """A logarithmic axis where the curves span more than a factor of 10, and no magnified rounding."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()])
    low, high = np.nanmin(values), np.nanmax(values)
    if low > 0 and high > 10 * low:
        axes.set_yscale("log")
    elif high - low < 1e-3 * abs(high):
        axes.set_ylim(0.9 * low, 1.1 * high)


def _rows_for(groups: Sequence[Group]) -> int:
    return (len(groups) + 1) // 2


def _bias_in(estimate: str) -> Callable[[int], Pick]:
    return lambda index: lambda result: bias_of(estimate, at) if (at := _measured(result, index)) else None


def _figure(name: str) -> Callable[[int], Pick]:
    return lambda index: lambda result: (_measured(result, index) or {}).get(name)


def _measured(result: Json, index: int) -> Json | None:
    """What was measured at one time; None where the training had ended."""
    rounds: list[Json] = result["rounds"]
    return rounds[index] if index < len(rounds) else None


def _curve(axes: Axes, group: Group, arm: Arm, pick: Callable[[int], Pick], *, label: str, colour: str) -> None:
    """One number round by round; a gap where some seed has none."""
    measured = [[at["round"] for at in result["rounds"]] for (name, _), result in group.results.items() if name == arm]
    rounds = max(measured, key=len)  # trainings may stop early
    means = [group.mean(arm, pick(index)) for index in range(len(rounds))]
    missing = Interval.exact(np.nan)
    known = [mean if mean is not None else missing for mean in means]
    axes.plot(rounds, [k.mean for k in known], "o-", markersize=2, color=colour, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.fill_between(rounds, [k.low for k in known], [k.high for k in known], color=colour, alpha=0.15, linewidth=0)


def _bar(axes: Axes, at: float, interval: Interval | None, colour: str, alpha: float) -> None:
    if interval is None:
        axes.text(at, 0, "none", rotation=90, ha="center", va="bottom", fontsize=7, color="grey")
        return
    error = [[interval.mean - max(interval.low, 0)], [interval.high - interval.mean]]
    axes.bar(at, interval.mean, 0.4, yerr=error, color=colour, alpha=alpha, ecolor="black", capsize=2)
