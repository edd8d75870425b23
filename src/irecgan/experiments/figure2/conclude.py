"""The report of figure 2."""

from collections.abc import Sequence
from itertools import groupby

from irecgan.experiments.figure2.claims import comparisons
from irecgan.experiments.figure2.plot import coverage_plot, reward_plot
from irecgan.experiments.figure2.results import Kind, Panel, panels
from irecgan.experiments.figure2.settings import Figure2Cell, Figure2Settings
from irecgan.experiments.frame.cuts import told_cuts
from irecgan.experiments.frame.report import Section, Table, render
from irecgan.experiments.frame.study import Conclusion, Json
from irecgan.experiments.frame.verdict_section import verdict_section, verdict_text
from irecgan.experiments.frame.verdicts import judge
from irecgan.tables import aligned

_DEPTHS = (1, 5, 10)
_HEADS = ["policy", "cumulative reward", "sampled slates", *(f"coverage@{r}" for r in _DEPTHS)]


def conclude(settings: Figure2Settings, results: Sequence[tuple[Figure2Cell, Json]]) -> Conclusion:
    """Tables, plots and verdicts."""
    found = panels(results)
    judged = judge(comparisons(found))
    notes = told_cuts({panel.title: panel.cut for panel in found}, settings.evaluation_sessions)
    sections = [verdict_section(judged, settings.seeds)]
    for (law, sessions), group in groupby(found, key=lambda panel: (panel.law, panel.sessions)):
        sections += _sections(law, sessions, list(group), settings)
    text = [f"{panel.title}\n{aligned([_HEADS, *_rows(panel)], left=True)}" for panel in found]
    return Conclusion(
        json={
            "settings": settings.model_dump(mode="json"),
            "panels": [_panel_json(panel) for panel in found],
            "claims": [claim.to_json() for claim in judged],
        },
        text="\n\n".join([*text, *notes, verdict_text(judged)]),
        html=render(
            "Figure 2: offline learning, simulated online test", " ".join([_summary(settings), *notes]), sections
        ),
    )


def _summary(settings: Figure2Settings) -> str:
    sizes = sorted({size for block in settings.blocks for size in block.sizes})
    return (
        "Every model learns from logs of three policies in a simulated world of 10 hidden states and 50 items, and "
        f"then plays {settings.evaluation_sessions:,} sessions in that world with slates of 10 (section 7.1 of the "
        "paper). "
        f"Log sizes {', '.join(f'{size:,}' for size in sizes)}; {settings.seeds} seeds, each with a world, a log and "
        f"evaluation draws of its own that all models share; training preset '{settings.preset}'. "
        "Means over seeds with 95 % intervals of Student's t. The paper shows the same, as a picture without numbers."
    )


def _sections(law: str, sessions: int, group: Sequence[Panel], settings: Figure2Settings) -> list[Section]:
    title = f"{law} transitions, {sessions:,} logged sessions"
    tables = [Section(panel.title, "Best first.", table=Table(_HEADS, _rows(panel))) for panel in group]
    return [
        Section(
            f"Coverage: {title}",
            "The share of the r best items of the true state that stand in the slate, over all steps; top-k slates.",
            plot=coverage_plot(group),
        ),
        Section(
            f"Cumulative reward: {title}",
            "Expected clicks of a session. Oracle, max and mix observe the hidden state; belief knows the world but "
            f"sees only clicks: the fair ceiling of a learned policy. Means of {settings.seeds} seeds.",
            plot=reward_plot(group),
        ),
        *tables,
    ]


def _rows(panel: Panel) -> list[list[str]]:
    best = sorted(panel.rows, key=lambda name: -panel.reward(name).mean)
    return [
        [
            name,
            str(panel.reward(name)),
            str(panel.reward(name, "sampled")) if "sampled" in panel.rows[name] else "",
            *(f"{panel.mean_coverage(name)[r - 1].mean:.3f}" for r in _DEPTHS),
        ]
        for name in best
    ]


def _panel_json(panel: Panel) -> Json:
    rows = {name: {kind: _row_json(panel, name, kind) for kind in kinds} for name, kinds in panel.rows.items()}
    return {"law": panel.law, "log": panel.log, "sessions": panel.sessions, "rows": rows}


def _row_json(panel: Panel, name: str, kind: Kind) -> Json:
    coverage = {str(r): interval.mean for r, interval in enumerate(panel.mean_coverage(name, kind), start=1)}
    return {
        "cumulative_reward": panel.reward(name, kind).to_json(),
        "by_seed": panel.rewards(name, kind),
        "coverage": coverage,
    }
