"""Self-contained HTML reports: text, tables and plots in one file."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Table:
    """Rows of cells under heads."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A part of a report. ``plot`` is SVG; ``details`` are folded away at first."""

    title: str
    text: str
    table: Table | None = None
    plot: str | None = None
    details: Table | None = None


def render(title: str, summary: str, sections: Sequence[Section]) -> str:
    """The report as one HTML page that needs no other file."""
    environment = Environment(
        loader=PackageLoader("irecgan.experiments.frame"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html").render(title=title, summary=summary, sections=sections)
