"""Shares of the ceiling as a picture."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irecgan.experiments.beyond.results import Panel
from irecgan.experiments.frame.drawing import styled, svg
from irecgan.training.auto import AUTO

_COLUMNS = 3
_WIDTH = 3.4  # inches a panel


def share_plot(panels: Sequence[Panel]) -> str:
    """What learned policies earn of the ceiling, with 95 % intervals over worlds, one panel for each log."""
    rows = -(-len(panels) // _COLUMNS)
    most = max(len(panel.learned) for panel in panels)
    with styled():
        figure = Figure(figsize=(_WIDTH * _COLUMNS, rows * (0.22 * most + 0.9)), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True).flatten()
        for axes, panel in zip(grid, panels, strict=False):
            _dots(axes, panel)
        for axes in grid[len(panels) :]:
            axes.axis("off")
        return svg(figure)


def _dots(axes: Axes, panel: Panel) -> None:
    names = [name for name in panel.ranked() if name in panel.learned][::-1]
    for place, name in enumerate(names):
        share = panel.share(name)
        error = [[100 * (share.mean - share.low)], [100 * (share.high - share.mean)]]
        colour = "tab:orange" if name == AUTO else "tab:blue"
        axes.errorbar([100 * share.mean], [place], xerr=error, fmt="o", markersize=4, capsize=2, color=colour)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(panel.title, fontsize=7)
    axes.set_xlabel("% of the ceiling")
    axes.grid(axis="y", color="#eee")
