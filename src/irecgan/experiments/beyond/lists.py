"""Lists that were logged, reranked: the shop whose truth is known, and logs that are given."""

from collections.abc import Sequence
from statistics import mean

from irecgan.experiments.frame.cuts import cut_notes
from irecgan.experiments.frame.report import Section, Table
from irecgan.experiments.frame.study import Json
from irecgan.experiments.table1.differences import AGAINST, DIFFERENCES, differences, differences_json
from irecgan.experiments.table1.plot import precision_plot, worth_plot
from irecgan.experiments.table1.results import WORTH, Part

_SPLIT = {
    "time": "Trained on the earlier part of the log, measured on the later one. ",
    "random": "Trained on one part of the log, measured on another, both drawn at random. ",
}
_TEXT = (
    "P@k: the clicked item stands among the first k "
    "of the reranked list; ties count against a ranking, and lists of at most k items have a P@k of 1. Clicks follow "
    "what was shown, so orders like the logged one are favoured. "
)
_OVER_SESSIONS = "95 % intervals over test sessions, of which those in several repeats count as one."
_OVER_SEEDS = "95 % intervals of Student's t over repeats, each with a shop and a log of its own."
_TRUTH = "What each earns in the true world when it orders the lists of new sessions."


def list_sections(part: Part) -> list[Section]:
    """Table and plots of one log."""
    text = _SPLIT[part.split] + _TEXT + (_OVER_SEEDS if part.has_worth else _OVER_SESSIONS)
    sections = [Section(f"Lists: {part.title}", text, list_table(part), precision_plot(part))]
    if (beside := differences(part)) is not None:
        sections.append(Section(f"Lists: {part.title}, less {AGAINST}", DIFFERENCES, beside))
    if part.has_worth:
        words = " ".join([_TRUTH, *cut_notes({part.title: part.cut})])
        sections.append(Section(f"Lists: {part.title}, the truth", words, plot=worth_plot(part)))
    return sections


def list_table(part: Part) -> Table:
    """Rankings, best P@10 first; above them those that only the true world knows."""
    best = part.ranked("p@10")
    names = [name for name in part.rows if name not in best] + best
    rows = [[name, *(_cell(part, name, metric) for metric in part.metrics), _seconds(part, name)] for name in names]
    heads = (f"true {metric}" if metric in WORTH else metric.upper() for metric in part.metrics)
    return Table([part.title, *heads, "seconds"], rows)


def list_json(part: Part) -> Json:
    """Everything, by model and metric."""
    rows = {name: _row_json(part, name) for name in part.rows}
    return {"log": part.log, "split": part.split, "rows": rows, f"less_{AGAINST}": differences_json(part)}


def _row_json(part: Part, name: str) -> Json:
    known = [metric for metric in part.metrics if part.values(name, metric)]
    row: Json = {
        metric: {**part.mean(name, metric).to_json(), "by_seed": part.values(name, metric)} for metric in known
    }
    seconds = _fits(part.rows[name])
    decisions = [result["decision"] for result in part.rows[name] if "decision" in result]
    return row | ({"seconds": mean(seconds)} if seconds else {}) | ({"decisions": decisions} if decisions else {})


def _cell(part: Part, name: str, metric: str) -> str:
    return str(part.mean(name, metric)) if part.values(name, metric) else ""


def _seconds(part: Part, name: str) -> str:
    seconds = _fits(part.rows[name])
    return f"{mean(seconds):.1f}" if seconds else ""


def _fits(results: Sequence[Json]) -> list[float]:
    return [float(result["seconds"]) for result in results if "seconds" in result]
