"""Lists that were logged, reranked: the shop whose truth is known, and logs that are given."""

from collections.abc import Sequence
from statistics import mean

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.frame.report import Section, Table
from irecgan.experiments.frame.study import Json
from irecgan.experiments.table1.plot import precision_plot, worth_plot
from irecgan.experiments.table1.results import RERANK, WORTH, Part

_TEXT = (
    "Trained on the earlier part of the log, measured on the later one. P@k: the clicked item stands among the first k "
    "of the reranked list; ties count against a ranking, and lists of at most k items have a P@k of 1. Clicks follow "
    "what was shown, so orders like the logged one are favoured. "
)
_OVER_SESSIONS = "95 % intervals over test sessions, the mean of those of the repeats."
_OVER_SEEDS = "95 % intervals of Student's t over repeats, each with a shop and a log of its own."
_TRUTH = "What each earns in the true world when it orders the lists of new sessions."


def list_sections(part: Part) -> list[Section]:
    """Table and plots of one log."""
    text = _TEXT + (_OVER_SEEDS if part.has_worth else _OVER_SESSIONS)
    sections = [Section(f"Lists: {part.title}", text, list_table(part), precision_plot(part))]
    if part.has_worth:
        sections.append(Section(f"Lists: {part.title}, the truth", _TRUTH, plot=worth_plot(part)))
    return sections


def list_table(part: Part) -> Table:
    """Rankings, best P@10 first; above them those that only the true world knows."""
    best = part.ranked("p@10")
    names = [name for name in part.rows if name not in best] + best
    rows = [[name, *(_cell(part, name, metric) for metric in _metrics(part)), _seconds(part, name)] for name in names]
    heads = (metric.upper() if metric in RERANK else f"true {metric}" for metric in _metrics(part))
    return Table([part.title, *heads, "seconds"], rows)


def measured(part: Part, name: str, metric: str) -> Interval:
    """A metric with its interval: over sessions of a log that is given, over repeats in the shop."""
    if part.has_worth:
        return part.mean(name, metric)
    found = [result["rerank"][metric] for result in part.rows[name]]
    middle, low, high = (mean(one[key] for one in found) for key in ("mean", "low", "high"))
    return Interval(middle, low, high)


def list_json(part: Part) -> Json:
    """Everything, by model and metric."""
    return {"log": part.log, "split": part.split, "rows": {name: _row_json(part, name) for name in part.rows}}


def _row_json(part: Part, name: str) -> Json:
    known = [metric for metric in _metrics(part) if part.values(name, metric)]
    row: Json = {
        metric: {**measured(part, name, metric).to_json(), "by_seed": part.values(name, metric)} for metric in known
    }
    seconds = _fits(part.rows[name])
    decisions = [result["decision"] for result in part.rows[name] if "decision" in result]
    return row | ({"seconds": mean(seconds)} if seconds else {}) | ({"decisions": decisions} if decisions else {})


def _metrics(part: Part) -> tuple[str, ...]:
    return (*RERANK, *WORTH) if part.has_worth else RERANK


def _cell(part: Part, name: str, metric: str) -> str:
    return str(measured(part, name, metric)) if part.values(name, metric) else ""


def _seconds(part: Part, name: str) -> str:
    seconds = _fits(part.rows[name])
    return f"{mean(seconds):.1f}" if seconds else ""


def _fits(results: Sequence[Json]) -> list[float]:
    return [float(result["seconds"]) for result in results if "seconds" in result]
