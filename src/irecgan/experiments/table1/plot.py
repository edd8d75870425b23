"""Table 1 as pictures."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irecgan.experiments.frame.drawing import styled, svg
from irecgan.experiments.table1.results import Part


def precision_plot(part: Part) -> str:
    """P@1 and P@10 with 95 % intervals over seeds, models in the order of P@10."""
    return _panels(part, part.ranked("p@10"), {"p@1": "P@1", "p@10": "P@10"})


def worth_plot(part: Part) -> str:
    """P@10 on the log beside the true clicks and purchases, models in the order of P@10."""
    measured = part.ranked("p@10")
    names = [name for name in [*part.ranked("clicks"), *measured] if name not in measured] + measured
    labels = {"p@10": "P@10 on the log", "clicks": "true clicks a session", "purchases": "true purchases a session"}
    return _panels(part, names, labels)


def _panels(part: Part, names: Sequence[str], labels: dict[str, str]) -> str:
    """A panel for each metric, a row for each model; best first."""
    with styled():
        figure = Figure(figsize=(10, 0.27 * len(names) + 0.9), layout="constrained")
        for axes, (metric, label) in zip(figure.subplots(1, len(labels), sharey=True), labels.items(), strict=True):
            _dots(axes, part, names, metric)
            axes.set_xlabel(f"{label}, 95 % interval")
        return svg(figure)


def _dots(axes: Axes, part: Part, names: Sequence[str], metric: str) -> None:
    rows = [(len(names) - 1 - i, part.mean(name, metric)) for i, name in enumerate(names) if part.values(name, metric)]
    errors = [[v.mean - v.low for _, v in rows], [v.high - v.mean for _, v in rows]]
    axes.errorbar([v.mean for _, v in rows], [at for at, _ in rows], xerr=errors, fmt="o", markersize=4, capsize=2)
    axes.set_yticks(range(len(names)), names[::-1])
    axes.grid(axis="y", color="#eee")
