"""On logs that are given: every model beside the strongest naive order, on the same lists."""

from irecgan.experiments.frame.report import Table
from irecgan.experiments.frame.study import Json
from irecgan.experiments.table1.results import WORTH, Part

AGAINST = "last_first"
DIFFERENCES = (
    "Differences on the same lists, with 95 % intervals over sessions. FIRST@1 is whether the item ranked first in "
    "the first list of a session is clicked at any of its steps; sessions without a click count."
)


def differences(part: Part) -> Table | None:
    """By how much every model is above the item touched last, first; None where sessions are not known."""
    if not _known(part):
        return None
    rows = [
        [name, *(part.less(name, AGAINST, metric).text("+.3f") for metric in part.metrics)]
        for name in part.ranked("p@10")
        if name != AGAINST
    ]
    return Table(["model", *map(head, part.metrics)], rows)


def differences_json(part: Part) -> Json:
    """The same by model and metric; nothing where sessions are not known."""
    names = part.rows if _known(part) else ()
    return {name: {metric: part.less(name, AGAINST, metric).to_json() for metric in part.metrics} for name in names}


def head(metric: str) -> str:
    """A metric as the head of a column."""
    return metric if metric in WORTH else metric.upper()


def _known(part: Part) -> bool:
    return part.by_session and AGAINST in part.rows
