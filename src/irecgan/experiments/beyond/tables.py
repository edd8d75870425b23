"""The tables of ``beyond`` on simulated worlds."""

from collections import Counter
from collections.abc import Sequence
from statistics import mean

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.beyond.choices import agreement, choices, regret
from irecgan.experiments.beyond.claims import BETTER, DISTILLED, NEVER_WORSE, PLANNER, RIVALS, label
from irecgan.experiments.beyond.goals import Goal
from irecgan.experiments.beyond.results import FILTER, SHOWN, Panel
from irecgan.experiments.beyond.settings import AUTO
from irecgan.experiments.frame.cuts import cut_notes
from irecgan.experiments.frame.report import Table
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.verdicts import Judged


def goal_table(goals: Sequence[Goal]) -> Table:
    """What was asked of auto and what it reached."""
    rows = [
        [
            goal.panel.title,
            str(goal.panel.seeds),
            goal.asked,
            goal.reached,
            goal.verdict,
            goal.reached_of_filter,
            _share(goal.panel, SHOWN),
            " ".join(f"{best} {_share(goal.panel, best)}" for best in goal.panel.fixed[:1]),
        ]
        for goal in goals
    ]
    heads = ["log", "worlds", "goal", "auto", "", f"auto, of {FILTER}", "what the log shows", "best fixed recipe"]
    return Table(heads, rows)


def share_table(panels: Sequence[Panel]) -> Table:
    """Every recipe on every log, in per cent of the ceiling."""
    names = _columns(panels)
    rows = [[panel.title, *(_share(panel, name) for name in names)] for panel in panels]
    return Table(["log", *names], rows)


def reward_table(panels: Sequence[Panel]) -> Table:
    """Everyone on every log, in clicks."""
    rows = [[panel.title, name, f"{panel.mean(name):.3f}"] for panel in panels for name in panel.ranked()]
    return Table(["log", "policy", "cumulative reward"], rows)


def paired_table(panels: Sequence[Panel], judged: Sequence[Judged]) -> Table:
    """What auto earns more than each rival, with the tests of both claims about it."""
    tests = {(test.comparison.claim, test.comparison.label): test for claim in judged for test in claim.tests}
    rows = []
    for panel in panels:
        for rival in RIVALS:
            if {AUTO, rival} <= panel.rows.keys():
                better = tests.get((BETTER, label(panel, rival)))
                rows.append(
                    [
                        panel.title,
                        rival,
                        over_seeds(panel.over(AUTO, rival)).text("+.3f"),
                        "" if better is None or better.alone else f"{better.p:.2g}",
                        "" if better is None else better.verdict.value,
                        tests[NEVER_WORSE, label(panel, rival)].verdict.value,
                    ]
                )
    return Table(["log", "rival", "auto - rival", "p (Holm)", "better, where history matters", "never worse"], rows)


def choice_table(panels: Sequence[Panel]) -> Table:
    """How often the choice of auto was the truly best candidate, and what it cost."""
    rows = []
    for panel in panels:
        found = choices(panel)
        if found:
            ranks = agreement(found)
            best = mean(choice.true[choice.best] for choice in found)
            rows.append(
                [
                    panel.title,
                    _counted([choice.learned for choice in found]),
                    _counted([choice.best for choice in found]),
                    f"{sum(choice.is_right for choice in found)} of {len(found)}",
                    str(regret(found)),
                    f"{100 * regret(found).mean / best:.1f} %" if best > 0 else "",
                    "" if ranks is None else f"{ranks:.2f}",
                ]
            )
    heads = ["log", "learned", "truly best", "lost nothing", "lost, in clicks", "of the best", "rank correlation"]
    return Table(heads, rows)


def distillation_table(panels: Sequence[Panel]) -> Table:
    """What an agent that learned the slates of the planner loses against it."""
    rows = []
    for panel in panels:
        if {DISTILLED, PLANNER} <= panel.rows.keys():
            lost = [1 - share for share in panel.shares(DISTILLED, PLANNER)]
            rows.append(
                [
                    panel.title,
                    _share(panel, PLANNER),
                    _share(panel, DISTILLED),
                    _percent(over_seeds(lost)) if panel.has(PLANNER) else "",
                ]
            )
    return Table(["log", "planner", "agent", "lost, % of the planner's reward"], rows)


def time_table(panels: Sequence[Panel]) -> Table:
    """Seconds to fit."""
    names = _columns(panels)
    rows = [
        [panel.title, *(f"{panel.seconds(name):.1f}" if name in panel.rows else "" for name in names)]
        for panel in panels
    ]
    return Table(["log", *names], rows)


def _share(panel: Panel, name: str) -> str:
    """In per cent of the ceiling, or the reward where there is none; nothing where the policy is not there."""
    if name not in panel.rows:
        return ""
    return _percent(panel.share(name)) if panel.has() else str(panel.share(name))


def _percent(share: Interval) -> str:
    """A share with its interval, in per cent."""
    return share.text(".1f", times=100)


def notes(panels: Sequence[Panel]) -> list[str]:
    """What has to be known of some panels to read their numbers."""
    without = [panel.title for panel in panels if not panel.has()]
    words = "No ceiling is known, and rewards stand in place of shares, for"
    told = [f"{words}: {'; '.join(without)}."] if without else []
    return told + cut_notes({panel.title: panel.cut for panel in panels})


def _columns(panels: Sequence[Panel]) -> list[str]:
    """Recipes, auto first and the others as they do on average."""
    names = dict.fromkeys(name for panel in panels for name in panel.learned)
    places = {name: mean(p.learned.index(name) for p in panels if name in p.rows) for name in names}
    return sorted(names, key=lambda name: (name != AUTO, places[name]))


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())
