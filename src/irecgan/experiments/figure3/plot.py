"""The curves of figure 3."""

from matplotlib.figure import Figure

from irecgan.experiments.figure3.results import MEASURES, Curves, Stage
from irecgan.experiments.frame.drawing import styled, svg
from irecgan.experiments.frame.seeds import over_seeds


def curves_plot(curves: Curves, stage: Stage) -> str:
    """Coverage@1, coverage@10 and cumulative reward by round, with 95 % bands over seeds."""
    with styled():
        figure = Figure(figsize=(10.5, 3.8), layout="constrained")
        for axes, measure in zip(figure.subplots(1, len(MEASURES)), MEASURES, strict=True):
            for method in curves.methods:
                values = [over_seeds(column.tolist()) for column in curves.values(method, measure, stage).T]
                rounds = range(1, len(values) + 1)
                (line,) = axes.plot(rounds, [v.mean for v in values], label=method)
                band = [v.low for v in values], [v.high for v in values]
                axes.fill_between(rounds, *band, color=line.get_color(), alpha=0.15, linewidth=0)
            axes.set(title=measure, xlabel="round")
            axes.set_ylim(bottom=0)
        figure.axes[0].set_ylabel("mean and 95 % band over seeds")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        return svg(figure)
