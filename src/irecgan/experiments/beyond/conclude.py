"""The report of ``beyond``."""

from collections.abc import Sequence

from irecgan.experiments.beyond.choices import choices, regret
from irecgan.experiments.beyond.claims import LEVEL, comparisons
from irecgan.experiments.beyond.goals import goals
from irecgan.experiments.beyond.lists import list_json, list_sections, list_table
from irecgan.experiments.beyond.plot import evidence_plot, share_plot
from irecgan.experiments.beyond.results import CEILING, FILTER, Panel, panels
from irecgan.experiments.beyond.settings import BeyondCell, BeyondSettings
from irecgan.experiments.beyond.tables import (
    choice_table,
    distillation_table,
    goal_table,
    notes,
    paired_table,
    reward_table,
    share_table,
    time_table,
)
from irecgan.experiments.frame.cuts import told_cuts
from irecgan.experiments.frame.report import Section, render
from irecgan.experiments.frame.study import Conclusion, Json
from irecgan.experiments.frame.verdict_section import verdict_section, verdict_text
from irecgan.experiments.frame.verdicts import Judged, judge
from irecgan.experiments.table1.results import parts
from irecgan.experiments.table1.settings import Table1Cell
from irecgan.tables import aligned

_GOALS = (
    "Met: the whole interval is at or above the goal; met on average: its mean is. Shares are of "
    f"{CEILING}, which plans on beliefs. The goals were set as shares of a policy like {FILTER}, which filters the "
    "same belief but plans no further than the next click. What the log shows: the share of who knows exactly "
    "that, and of all else the mean. Goals are set for logs of these sizes alone."
)
_SHARES = (
    f"Per cent of the cumulative reward of {CEILING}, which knows the world and sees only clicks: more cannot be asked "
    "of a policy that learns. Top-k slates; the shares are paired by world."
)
_PAIRED = (
    "In clicks per session, with 95 % intervals. 'Never worse': the difference is above -2 % of the rival's reward "
    "beyond doubt, at the level and with the correction of the verdicts below."
)
_CHOICES = (
    "The choice is made by evidence from the log alone; the truth is the world's, of candidates trained on their own "
    "on the whole log. Lost nothing: what auto learned is truly the best candidate. Rank correlation: Spearman's, of "
    "estimates and truths of the candidates of a log, mean over logs."
)
_EVIDENCE = (
    "One dot a candidate and a world. Where the evidence tracks the truth dots rise from left to right, and the dots "
    "at the right edge, which are chosen unless count is hardly worse, lie at the upper one."
)
_DISTILLATION = "The agent reads clicks alone and serves as fast as any other; the planner filters a belief and plans."
_TIME = "Seconds of one processor core to fit; those of auto are of all its candidates, on both halves of the log."


def conclude(settings: BeyondSettings, results: Sequence[tuple[BeyondCell, Json]]) -> Conclusion:
    """Tables, plots and verdicts."""
    found = panels(results)
    told_cuts({panel.title: panel.cut for panel in found}, settings.evaluation_sessions)
    lists = parts([(cell, result) for cell, result in results if isinstance(cell, Table1Cell)])
    of_lists = told_cuts({part.title: part.cut for part in lists}, settings.lists.shop.evaluation_sessions)
    judged = judge(comparisons(found), level=LEVEL)
    in_worlds = _sections(found, judged)
    sections = [
        *in_worlds,
        verdict_section(judged, max((panel.seeds for panel in found), default=settings.seeds)),
        *[section for part in lists for section in list_sections(part)],
    ]
    tables = [section.table for section in in_worlds if section.table] + [list_table(part) for part in lists]
    text = [aligned([table.heads, *table.rows], left=True) for table in tables]
    chosen = any(choices(panel) for panel in found)
    return Conclusion(
        json={
            "settings": settings.model_dump(mode="json"),
            "goals": [goal.to_json() for goal in goals(found)],
            "panels": [_panel_json(panel) for panel in found],
            "lists": [list_json(part) for part in lists],
            "claims": [claim.to_json() for claim in judged],
        },
        text="\n\n".join([*text, *notes(found), *of_lists, verdict_text(judged)]),
        html=render("Beyond the paper", _summary(settings), sections),
        figures=({"shares": share_plot(found)} if found else {})
        | ({"evidence": evidence_plot(found)} if chosen else {}),
    )


def _sections(found: Sequence[Panel], judged: Sequence[Judged]) -> list[Section]:
    """What was found in simulated worlds; parts for which the rows are missing are left out."""
    if not found:
        return []
    chosen = any(choices(panel) for panel in found)
    shares = Section(
        "What each recipe earns of the ceiling",
        " ".join([_SHARES, *notes(found)]),
        share_table(found),
        share_plot(found),
        reward_table(found),
    )
    sections = [
        Section("Goals of auto", _GOALS, goal_table(goals(found))),
        shares,
        Section("auto beside pg and count", _PAIRED, paired_table(found, judged)),
        Section("What auto chose", _CHOICES, choice_table(found)),
        Section("Evidence and truth", _EVIDENCE, plot=evidence_plot(found) if chosen else None),
        Section("What distilling the planner costs", _DISTILLATION, distillation_table(found)),
        Section("Time to fit", _TIME, time_table(found)),
    ]
    return [section for section in sections if section.plot or (section.table and section.table.rows)]


def _summary(settings: BeyondSettings) -> str:
    given = f" A world from a file has {settings.seeds} logs of each policy instead." if settings.worlds else ""
    held_out = f" Seeds are counted from {settings.first_seed}." if settings.first_seed else ""
    return (
        f"Recipes learn from logs of simulated worlds with hidden states and play {settings.evaluation_sessions:,} "
        f"sessions in the world that their log came from; {settings.seeds} worlds of each kind, in which all recipes "
        f"are paired. 95 % intervals of Student's t over worlds; training preset '{settings.preset}'. m states, n "
        "items and slates of k are 10, 50 and 10 unless a row says otherwise; its last number: logged sessions."
        f"{given}{held_out}"
    )


def _panel_json(panel: Panel) -> Json:
    rows = {
        name: {
            "reward": panel.mean(name),
            "cut": panel.cuts(name),
            "by_seed": panel.values(name),
            "share": panel.share(name).to_json(),
        }
        | ({"seconds": panel.seconds(name)} if name in panel.learned else {})
        for name in panel.rows
    }
    made = choices(panel)
    choice = {
        "learned": [choice.learned for choice in made],
        "best": [choice.best for choice in made],
        "regret": regret(made).to_json() if made else None,
        "estimates": [choice.estimates for choice in made],
    }
    law, states, items, size = panel.world
    world = {"law": law, "states": states, "items": items, "slate_size": size}
    return {**world, "log": panel.log, "sessions": panel.sessions, "rows": rows, "choice": choice if made else None}
