"""The report of table 1."""

from collections.abc import Sequence
from pathlib import Path

from irecgan.data.location import prepared_shares
from irecgan.data.splits import SHARES, Shares
from irecgan.experiments.frame.cuts import told_cuts
from irecgan.experiments.frame.report import Section, Table, render
from irecgan.experiments.frame.study import Conclusion, Json
from irecgan.experiments.frame.verdict_section import verdict_section, verdict_text
from irecgan.experiments.frame.verdicts import judge
from irecgan.experiments.table1.claims import comparisons
from irecgan.experiments.table1.differences import AGAINST, DIFFERENCES, differences, differences_json, head
from irecgan.experiments.table1.plot import precision_plot, worth_plot
from irecgan.experiments.table1.results import Part, parts
from irecgan.experiments.table1.settings import SHOP, Table1Cell, Table1Settings
from irecgan.tables import aligned

PAPER = {
    "lstm": ("8.20 ± 0.65", "32.89 ± 0.50"),
    "lstmd": ("8.55 ± 0.63", "33.42 ± 0.40"),
    "pg": ("6.25 ± 0.14", "33.28 ± 0.71"),
    "pgis": ("4.61 ± 0.73", "28.13 ± 0.45"),
    "ac": ("6.54 ± 0.19", "31.93 ± 0.17"),
    "pgu": ("6.44 ± 0.56", "34.12 ± 0.52"),
    "acu": ("6.63 ± 0.29", "32.43 ± 0.22"),
    "irecgan": ("6.79 ± 0.44", "35.06 ± 0.48"),
}
"""P@1 and P@10 in % on the log of the CIKM Cup 2016: table 1 of the paper."""


_INTERVALS = {False: "of Student's t", True: "over sessions, of which those in several repeats count as one"}


def conclude(settings: Table1Settings, results: Sequence[tuple[Table1Cell, Json]]) -> Conclusion:
    """Tables, plots and verdicts."""
    found = parts(results)
    judged = judge(comparisons(found))
    over = "sessions" if settings.logs else "seeds"
    sections = [verdict_section(judged, settings.seeds, over)]
    text, notes = [], told_cuts({part.title: part.cut for part in found}, settings.shop.evaluation_sessions)
    for part in found:
        sections += _sections(part)
        text.append(f"{part.title}\n{aligned([_heads(part), *_rows(part)], left=True)}")
        if (beside := differences(part)) is not None:
            text.append(f"{part.title}: less {AGAINST}\n{aligned([beside.heads, *beside.rows], left=True)}")
    return Conclusion(
        json={
            "settings": settings.model_dump(mode="json"),
            "parts": [_json(part) for part in found],
            "claims": [claim.to_json() for claim in judged],
        },
        text="\n\n".join([*text, *notes, verdict_text(judged)]),
        html=render("Table 1: offline rerank", " ".join([_summary(settings), *notes]), sections),
    )


def _summary(settings: Table1Settings) -> str:
    shop = settings.shop
    where = ", ".join(f"{log} ({_shares(prepared_shares(Path(log)))})" for log in settings.logs) or (
        f"a simulated shop of {shop.items:,} items ({shop.sessions:,} sessions logged, those of one click or of more "
        f"than 40 dropped; {_shares(SHARES)}), because its true values are known"
    )
    return (
        "Every model learns from one part of the sessions of a log and reranks the lists of another; a third says "
        f"when to stop (section 7.2 of the paper). Logs: {where}. "
        f"Lists of at least {settings.min_candidates} items; "
        f"{settings.seeds} repeats, each with a split (where it is random) and a training seed of its own that all "
        f"models share; training preset '{settings.preset}'. Ties count against a ranking."
    )


def _shares(shares: Shares) -> str:
    train, validation, test = (share / sum(shares) for share in shares)
    return f"{train:.0%} to learn from, {validation:.0%} to stop by, {test:.0%} to rerank"


def _sections(part: Part) -> list[Section]:
    first = next(iter(part.rows.values()))[0]["rerank"]
    text = (
        f"{first['steps']:,} lists of {first['sessions']:,} test sessions in the first repeat. Means over repeats with "
        f"95 % intervals {_INTERVALS[part.by_session]}; the paper's figures, in %, are of another log and stand beside "
        "as they are."
    )
    sections = [Section(part.title, text, Table(_heads(part), _rows(part)), precision_plot(part))]
    if (beside := differences(part)) is not None:
        sections.append(Section(f"{part.title}: less {AGAINST}", DIFFERENCES, beside))
    if part.has_worth:
        words = (
            "What each model earns in the true world when it orders the lists of new sessions. The logged order was "
            "made by the shop's own ranker, which clicks follow; P@10 on the log is what can be measured without the "
            "truth. In the world items of equal score stay as the shop's ranker has them; on the log ties lose."
        )
        sections.append(Section(f"{part.title}: the truth", words, plot=worth_plot(part)))
    return sections


def _heads(part: Part) -> list[str]:
    return ["model", *map(head, part.metrics), "paper P@1, P@10"]


def _rows(part: Part) -> list[list[str]]:
    best = part.ranked("p@10")
    beyond = [name for name in part.rows if name not in best]  # the oracle, which only the true world knows
    return [
        [
            name,
            *(str(part.mean(name, metric)) if part.values(name, metric) else "" for metric in part.metrics),
            ", ".join(PAPER.get(name, ())),
        ]
        for name in [*beyond, *best]
    ]


def _json(part: Part) -> Json:
    rows = {
        name: {
            metric: {**part.mean(name, metric).to_json(), "by_seed": part.values(name, metric)}
            for metric in part.metrics
            if part.values(name, metric)
        }
        for name in part.rows
    }
    simulated = part.log == SHOP
    return {
        "log": part.log,
        "split": part.split,
        "simulated": simulated,
        "rows": rows,
        f"less_{AGAINST}": differences_json(part),
    }
