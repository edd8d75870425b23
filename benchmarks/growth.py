"""Plots of what grows with the size of something."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt


def plot_growth(
    lines: Mapping[str, Sequence[Mapping[str, Any]]], over: tuple[str, str], panels: Mapping[str, str], path: Path
) -> None:
    """The rows of each line, both axes logarithmic: a panel for each key of ``panels``, with the label that it gives.

    ``over``: the key of the size, and its label.
    """
    mpl.use("Agg")
    figure, axes = plt.subplots(1, len(panels), figsize=(9, 3.5), layout="constrained")
    for axis, (key, label) in zip(axes, panels.items(), strict=True):
        for name, rows in lines.items():
            axis.loglog([row[over[0]] for row in rows], [row[key] for row in rows], marker="o", label=name)
        axis.set_xlabel(over[1])
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.savefig(path)
