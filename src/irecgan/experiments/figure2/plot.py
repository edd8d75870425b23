"""The panels of figure 2: coverage@r, and cumulative rewards."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irecgan.experiments.figure2.results import Panel
from irecgan.experiments.frame.drawing import styled, svg

CURVES = ("lstm", "lstmd", "pg", "irecgan", "popularity", "gru4rec")  # the paper's four, and two to hold them against
_WIDTH = 3.4  # inches a panel


def coverage_plot(panels: Sequence[Panel]) -> str:
    """Coverage@r of top-k slates with 95 % bands over seeds, one panel for each log."""
    with styled():
        figure = Figure(figsize=(_WIDTH * len(panels), 3.6), layout="constrained")
        for axes, panel in zip(_row(figure, panels), panels, strict=True):
            for name in (curve for curve in CURVES if curve in panel.rows):
                values = panel.mean_coverage(name)
                depths = range(1, len(values) + 1)
                (line,) = axes.plot(depths, [v.mean for v in values], "o-", markersize=3, label=name)
                axes.fill_between(
                    depths, [v.low for v in values], [v.high for v in values], color=line.get_color(), alpha=0.15
                )
            axes.set(title=_short(panel), xlabel="r", ylim=(0, 1.02))
        figure.axes[0].set_ylabel("coverage@r, 95 % bands over seeds")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return svg(figure)


def reward_plot(panels: Sequence[Panel]) -> str:
    """Cumulative rewards of all policies, top-k slates dark and sampled ones light, one panel for each log."""
    with styled():
        most = max(len(panel.rows) for panel in panels)
        figure = Figure(figsize=(_WIDTH * len(panels), 0.26 * most + 1.2), layout="constrained")
        for axes, panel in zip(_row(figure, panels), panels, strict=True):
            _bars(axes, panel)
            axes.set(title=_short(panel), xlabel="cumulative reward, 95 % interval")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return svg(figure)


def _bars(axes: Axes, panel: Panel) -> None:
    names = sorted(panel.rows, key=lambda name: panel.reward(name).mean)
    for kind, colour, offset in (("sampled", "tab:cyan", -0.2), ("top", "tab:blue", 0.2)):
        rows = [(i, panel.reward(name, kind)) for i, name in enumerate(names) if kind in panel.rows[name]]
        learned = {name for name in names if "sampled" in panel.rows[name]}
        places = [i + (offset if names[i] in learned else 0.0) for i, _ in rows]
        heights = [0.38 if names[i] in learned else 0.6 for i, _ in rows]
        means = [value.mean for _, value in rows]
        errors = [[v.mean - v.low for _, v in rows], [v.high - v.mean for _, v in rows]]
        colours = [colour if names[i] in learned else "lightgrey" for i, _ in rows]
        axes.barh(places, means, heights, xerr=errors, color=colours, ecolor="black", error_kw={"lw": 0.8})
        axes.barh([0], [0], color=colour, label="top-k slates" if kind == "top" else "sampled slates")
    axes.barh([0], [0], color="lightgrey", label="does not learn by a model")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(left=0)


def _row(figure: Figure, panels: Sequence[Panel]) -> list[Axes]:
    grid = figure.subplots(1, len(panels), squeeze=False)
    return list(grid[0])


def _short(panel: Panel) -> str:
    return f"{panel.log} log, {panel.sessions:,} sessions"
