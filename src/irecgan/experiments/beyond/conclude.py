"""The report of ``beyond``."""

from collections import Counter
from collections.abc import Sequence

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.beyond.claims import comparisons
from irecgan.experiments.beyond.plot import share_plot
from irecgan.experiments.beyond.results import CEILING, Panel, panels
from irecgan.experiments.beyond.settings import BeyondCell, BeyondSettings
from irecgan.experiments.frame.report import Section, Table, render
from irecgan.experiments.frame.study import Conclusion, Json
from irecgan.experiments.frame.verdict_section import verdict_section, verdict_text
from irecgan.experiments.frame.verdicts import judge
from irecgan.experiments.table1.plot import precision_plot, worth_plot
from irecgan.experiments.table1.results import RERANK, WORTH, Part, parts
from irecgan.experiments.table1.settings import Table1Cell
from irecgan.tables import aligned
from irecgan.training.auto import AUTO

_LEVEL = 0.01
_CHOICES = ["log", "chosen", "truly best", "chosen the best", "lost by the choice"]


def conclude(settings: BeyondSettings, results: Sequence[tuple[BeyondCell, Json]]) -> Conclusion:
    """Tables, plots and verdicts."""
    found = panels(results)
    lists = parts([(cell, result) for cell, result in results if isinstance(cell, Table1Cell)])
    judged = judge(comparisons(found), level=_LEVEL)
    shares, choices, fits = _shares(found), _choices(found), _fits(found)
    sections = [
        Section(
            "What each policy earns of the ceiling",
            f"Per cent of the cumulative reward of {CEILING}, which knows the world but sees only clicks. Top-k slates.",
            table=shares,
            plot=share_plot(found),
            details=_rewards(found),
        ),
        Section("What auto chose", "By evidence from the log alone; the truth is the world's.", table=choices),
        verdict_section(judged, settings.seeds),
        Section("Time", "Seconds of one processor core to fit; auto's is that of all its candidates.", table=fits),
        *[section for part in lists for section in _list_sections(part)],
    ]
    tables = [shares, choices, fits, *map(_list_table, lists)]
    text = [aligned([table.heads, *table.rows], left=True) for table in tables if table.rows]
    return Conclusion(
        json={
            "settings": settings.model_dump(mode="json"),
            "panels": [_panel_json(panel) for panel in found],
            "lists": [_list_json(part) for part in lists],
            "claims": [claim.to_json() for claim in judged],
        },
        text="\n\n".join([*text, verdict_text(judged)]),
        html=render("Beyond the paper", _summary(settings), sections),
        figures={"shares": share_plot(found)},
    )


def _summary(settings: BeyondSettings) -> str:
    return (
        f"Policies learn from logs of simulated worlds and play {settings.evaluation_sessions:,} sessions in the world "
        f"that their log came from; {settings.seeds} worlds of each kind, in which all are paired. 95 % intervals of "
        f"Student's t over worlds; training preset '{settings.preset}'. On lists, {settings.list_seeds} repeats."
    )


def _learned(found: Sequence[Panel]) -> list[str]:
    return list(dict.fromkeys(name for panel in found for name in panel.ranked() if name in panel.learned))


def _shares(found: Sequence[Panel]) -> Table:
    names = _learned(found)
    rows = [
        [panel.title, *(_percent(panel.share(name)) if name in panel.rows else "" for name in names)] for panel in found
    ]
    return Table(["log", *names], rows)


def _percent(share: Interval) -> str:
    return f"{100 * share.mean:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _rewards(found: Sequence[Panel]) -> Table:
    rows = [[panel.title, name, f"{panel.mean(name):.3f}"] for panel in found for name in panel.ranked()]
    return Table(["log", "policy", "cumulative reward"], rows)


def _choices(found: Sequence[Panel]) -> Table:
    rows = []
    for panel in (panel for panel in found if AUTO in panel.rows):
        chosen, best = panel.chosen(), panel.best()
        right = sum(a == b for a, b in zip(chosen, best, strict=True))
        rows.append([panel.title, _counted(chosen), _counted(best), f"{right} of {len(best)}", str(panel.regret())])
    return Table(_CHOICES, rows)


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())


def _fits(found: Sequence[Panel]) -> Table:
    names = _learned(found)
    rows = [
        [panel.title, *(f"{panel.seconds(name):.1f}" if name in panel.rows else "" for name in names)]
        for panel in found
    ]
    return Table(["log", *names], rows)


def _list_sections(part: Part) -> list[Section]:
    text = "Means over repeats with 95 % intervals of Student's t; ties count against a ranking."
    sections = [Section(part.title, text, _list_table(part), precision_plot(part))]
    if part.has_worth:
        words = "What each earns in the true world when it orders the lists of new sessions."
        sections.append(Section(f"{part.title}: the truth", words, plot=worth_plot(part)))
    return sections


def _list_table(part: Part) -> Table:
    metrics = (*RERANK, *WORTH) if part.has_worth else RERANK
    best = part.ranked("p@10")
    names = [name for name in part.rows if name not in best] + best
    rows = [
        [name, *(str(part.mean(name, metric)) if part.values(name, metric) else "" for metric in metrics)]
        for name in names
    ]
    return Table([part.title, *(metric.upper() if metric in RERANK else metric for metric in metrics)], rows)


def _panel_json(panel: Panel) -> Json:
    rows = {
        name: {"reward": panel.mean(name), "by_seed": panel.values(name), "share": panel.share(name).to_json()}
        | ({"seconds": panel.seconds(name)} if name in panel.learned else {})
        for name in panel.rows
    }
    choice = (
        {"chosen": panel.chosen(), "best": panel.best(), "regret": panel.regret().to_json()}
        if AUTO in panel.rows
        else None
    )
    law, states, items, size = panel.world
    world = {"law": law, "states": states, "items": items, "slate_size": size}
    return {**world, "log": panel.log, "sessions": panel.sessions, "rows": rows, "auto": choice}


def _list_json(part: Part) -> Json:
    rows = {
        name: {
            metric: {**part.mean(name, metric).to_json(), "by_seed": part.values(name, metric)}
            for metric in (*RERANK, *WORTH)
            if part.values(name, metric)
        }
        for name in part.rows
    }
    return {"log": part.log, "split": part.split, "rows": rows}
