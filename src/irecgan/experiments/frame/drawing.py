"""The look of all figures, and figures as SVG text."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "svg.hashsalt": "irecgan",  # equal figures give equal text
}


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside look like all others."""
    with rc_context(_STYLE):
        yield


def svg(figure: Figure) -> str:
    """The figure as SVG, without a date."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
