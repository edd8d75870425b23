"""Table 1 as pictures."""

from matplotlib.figure import Figure

from irecgan.experiments.drawing import styled, svg
from irecgan.experiments.table1.results import Part


def precision_plot(part: Part) -> str:
    """P@1 and P@10 with 95 % intervals over seeds, best first."""
    with styled():
        figure = Figure(figsize=(9, 0.27 * len(part.rows) + 0.9), layout="constrained")
        for axes, metric in zip(figure.subplots(1, 2), ("p@1", "p@10"), strict=True):
            names = part.ranked(metric)[::-1]
            values = [part.mean(name, metric) for name in names]
            errors = [[v.mean - v.low for v in values], [v.high - v.mean for v in values]]
            axes.errorbar([v.mean for v in values], range(len(names)), xerr=errors, fmt="o", markersize=4, capsize=2)
            axes.set_yticks(range(len(names)), names)
            axes.grid(axis="y", color="#eee")
            axes.set(xlabel=f"{metric.upper()}, mean and 95 % interval over seeds")
        return svg(figure)


def worth_plot(part: Part) -> str:
    """P@10 on the log against the true clicks and purchases a session."""
    with styled():
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        for axes, metric in zip(figure.subplots(1, 2), ("clicks", "purchases"), strict=True):
            for name in part.rows:
                if part.values(name, metric) and part.values(name, "p@10"):
                    x, y = part.mean(name, "p@10").mean, part.mean(name, metric).mean
                    axes.plot(x, y, "o", markersize=4)
                    axes.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=8)
            axes.set(xlabel="P@10 on the log", ylabel=f"true {metric} a session")
            axes.margins(x=0.15)
        return svg(figure)
