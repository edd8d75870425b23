"""Shares of the ceiling, and the evidence of auto beside the truth, as pictures."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irecgan.experiments.beyond.choices import choices
from irecgan.experiments.beyond.goals import goal_share
from irecgan.experiments.beyond.results import STATIC, Panel
from irecgan.experiments.beyond.settings import AUTO
from irecgan.experiments.frame.drawing import styled, svg

_COLUMNS = 3
_WIDTH = 3.4  # inches a panel
_GOAL, _FIXED = "tab:green", "grey"


def share_plot(panels: Sequence[Panel]) -> str:
    """What learned policies earn of the ceiling, with 95 % intervals over worlds, one panel for each log."""
    most = max(len(panel.learned) for panel in panels)

    def draw(axes: Axes, panel: Panel) -> None:
        _dots(axes, panel)
        axes.set_xlabel("% of the ceiling" if panel.has() else "reward")

    legend = {"auto's goal": (_GOAL, "-"), "best slates that ignore clicks": (_FIXED, "--")}
    return _grid(panels, draw, height=0.2 * most + 0.9, legend=legend)


def evidence_plot(panels: Sequence[Panel]) -> str:
    """What auto estimated of each candidate beside its true reward, each as a share of the highest of its log."""
    panels = [panel for panel in panels if choices(panel)]
    names = list(dict.fromkeys(name for panel in panels for choice in choices(panel) for name in choice.true))
    colours = {name: f"C{place}" for place, name in enumerate(names)}

    def draw(axes: Axes, panel: Panel) -> None:
        _points(axes, panel, colours)
        axes.set(xlabel="estimate, % of the highest", ylabel="true reward, % of the best")
        axes.tick_params(labelleft=True)

    legend = {name: (colour, "o") for name, colour in colours.items()}
    return _grid(panels, draw, height=2.6, legend=legend, sharey=True)


def _grid(
    panels: Sequence[Panel],
    draw: Callable[[Axes, Panel], None],
    *,
    height: float,
    legend: dict[str, tuple[str, str]],
    sharey: bool = False,
) -> str:
    """One panel for each log in rows of three; ``legend``: colour and line or marker by name."""
    rows = -(-len(panels) // _COLUMNS)
    with styled():
        figure = Figure(figsize=(_WIDTH * _COLUMNS, rows * height + 0.3), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=sharey).flatten()
        for axes, panel in zip(grid, panels, strict=False):
            draw(axes, panel)
            axes.set_title(panel.title, fontsize=8)
        for axes in grid[len(panels) :]:
            axes.axis("off")
        marks = [grid[0].plot([], [], style, color=colour, label=name)[0] for name, (colour, style) in legend.items()]
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
        return svg(figure)


def _dots(axes: Axes, panel: Panel) -> None:
    names, whole = panel.learned[::-1], 100 if panel.has() else 1
    for place, name in enumerate(names):
        share = panel.share(name)
        error = [[whole * (share.mean - share.low)], [whole * (share.high - share.mean)]]
        colour = "tab:orange" if name == AUTO else "tab:blue"
        axes.errorbar([whole * share.mean], [place], xerr=error, fmt="o", markersize=4, capsize=2, color=colour)
    if STATIC in panel.rows:
        axes.axvline(whole * panel.share(STATIC).mean, color=_FIXED, linestyle="--", linewidth=0.9)
    goal = goal_share(panel)
    if goal is not None:
        axes.axvline(100 * goal, color=_GOAL, linewidth=1.2)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelbottom=True)
    axes.grid(axis="y", color="#eee")


def _points(axes: Axes, panel: Panel, colours: dict[str, str]) -> None:
    for choice in choices(panel):
        estimate, true = max(choice.estimates.values()), max(choice.true.values())
        if min(estimate, true) <= 0:
            continue  # nothing was earned, of which there is no share
        for name, value in choice.true.items():
            at = [100 * choice.estimates[name] / estimate], [100 * value / true]
            axes.plot(*at, "o", markersize=4, alpha=0.7, color=colours[name])
    axes.tick_params(labelbottom=True)
    axes.grid(color="#eee")
