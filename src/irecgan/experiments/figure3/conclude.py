"""The report of figure 3."""

from collections.abc import Sequence

from irecgan.experiments.figure3.claims import comparisons
from irecgan.experiments.figure3.plot import curves_plot
from irecgan.experiments.figure3.results import MEASURES, Curves, Stage, curves
from irecgan.experiments.figure3.settings import Figure3Cell, Figure3Settings
from irecgan.experiments.frame.cuts import told_cuts
from irecgan.experiments.frame.report import Section, Table, render
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.study import Conclusion, Json
from irecgan.experiments.frame.verdict_section import verdict_section, verdict_text
from irecgan.experiments.frame.verdicts import judge
from irecgan.tables import aligned

_STAGES: dict[Stage, str] = {
    "interaction": "While they interact: the agents draw their slates, LSTM-offline and the count show their top 10",
    "afterwards": "After each round, all with top-10 slates in sessions that nobody learns from",
}


def conclude(settings: Figure3Settings, results: Sequence[tuple[Figure3Cell, Json]]) -> Conclusion:
    """Tables, plots and verdicts."""
    found = curves(results)
    judged = judge(comparisons(found))
    heads = ["method", *MEASURES]
    sections = [verdict_section(judged, settings.seeds)]
    text, notes = [], _notes(settings, found)
    for law in found:
        for stage, title in _STAGES.items():
            rows = _rows(law, stage)
            words = (
                f"{title}. The table gives means over the last {law.late} rounds and over seeds, with 95 % intervals."
            )
            sections.append(Section(f"{law.law}: {stage}", words, Table(heads, rows), curves_plot(law, stage)))
            text.append(f"{law.law}, {stage}, mean of the last {law.late} rounds\n{aligned([heads, *rows], left=True)}")
    return Conclusion(
        json={
            "settings": settings.model_dump(mode="json"),
            "curves": [_json(law) for law in found],
            "claims": [claim.to_json() for claim in judged],
        },
        text="\n\n".join([*text, *notes, verdict_text(judged)]),
        html=render("Figure 3: online learning from scratch", " ".join([_summary(settings), *notes]), sections),
    )


def _summary(settings: Figure3Settings) -> str:
    return (
        f"Every method starts from nothing and lives through {settings.rounds} rounds: {settings.sessions} sessions of "
        "interaction with the simulated world, from which the agents learn at once by policy gradient; then an offline "
        "stage on all sessions so far (section 7.1 of the paper). "
        f"{settings.offline_epochs} epochs of the agent in an offline stage; {settings.seeds} seeds, each with a world "
        f"of its own that all methods share; training preset '{settings.preset}'. Bands are 95 % intervals of "
        "Student's t. The paper shows the two coverages, as a picture without numbers."
    )


def _notes(settings: Figure3Settings, found: Sequence[Curves]) -> list[str]:
    """What was cut, in the sessions of each stage."""
    played: dict[Stage, int] = {"interaction": settings.sessions, "afterwards": settings.evaluation_sessions}
    return [
        note
        for stage, sessions in played.items()
        for note in told_cuts({f"{law.law}, {stage}": law.cut(stage) for law in found}, sessions)
    ]


def _rows(law: Curves, stage: Stage) -> list[list[str]]:
    return [
        [
            method,
            *(str(over_seeds(law.lately(law.values(method, measure, stage)).tolist())) for measure in MEASURES),
        ]
        for method in law.methods
    ]


def _json(law: Curves) -> Json:
    stages: Json = {
        stage: {m: {measure: law.values(m, measure, stage).tolist() for measure in MEASURES} for m in law.methods}
        for stage in _STAGES
    }
    return {"law": law.law, **stages}
