"""The conclusion of the experiment ``bias``: tables, figures, and the answer to its question."""

from collections.abc import Mapping, Sequence

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.bias.claims import comparisons
from irecgan.experiments.bias.plot import figures
from irecgan.experiments.bias.results import (
    ESTIMATES,
    Group,
    Pick,
    bias,
    change,
    data_bias,
    deviation,
    error,
    generated_bias,
    grouped,
    kept,
    model_bias,
    size_of_bias,
)
from irecgan.experiments.bias.settings import ARMS, BiasCell, BiasSettings
from irecgan.experiments.frame.report import Section, Table, render
from irecgan.experiments.frame.study import Conclusion, Json
from irecgan.experiments.frame.verdict_section import verdict_section, verdict_text
from irecgan.experiments.frame.verdicts import Judged, Verdict, judge
from irecgan.tables import aligned

_SOURCES: dict[str, Pick] = {
    "V_data - V": data_bias,
    "V_g - V": generated_bias("plain"),
    "E_g[D R] / E_g[D] - V": generated_bias("learned_normalised"),
    "|V_g - V|": model_bias,
    "total variation of g from pi": kept("distance/policy"),
    "mean |Delta|": kept("delta/mean_abs"),
    "mean |delta_1|": kept("delta_1/mean_abs"),
    "sd delta_1": kept("delta_1/sd"),
    "mean |delta_2|": kept("delta_2/mean_abs"),
    "sd delta_2": kept("delta_2/sd"),
    "mean w": kept("weight/mean"),
    "sd w": kept("weight/sd"),
    "held-out loss of U": kept("user/validation"),
}
_RATIOS: dict[str, Pick] = {
    "generated sessions the log excludes": kept("ratio/impossible"),
    "generated sessions with D* < 0.001": kept("ratio/negligible"),
    "sd of log P_pi / P_data": kept("ratio/log_sd"),
    "effective share under P_pi / P_data": kept("ratio/data_share"),
    "effective share under P_pi / P_g": kept("ratio/policy_share"),
}


def conclude(settings: BiasSettings, results: Sequence[tuple[BiasCell, Json]]) -> Conclusion:
    """Tables, plots and verdicts."""
    groups = grouped(results)
    judged = judge(comparisons(groups))
    found = {
        "settings": settings.model_dump(mode="json"),
        "groups": [_group_json(group) for group in groups],
        "claims": [claim.to_json() for claim in judged],
    }
    text = "\n\n".join(
        f"{group.title}\n{aligned([_ESTIMATE_HEADS, *_estimate_rows(group)])}\n\n"
        f"{aligned([_SOURCE_HEADS, *_source_rows(group)])}"
        for group in groups
    )
    text = f"{text}\n\n{aligned([_ANSWER_HEADS, *map(answer, groups)], left=True)}"
    drawn = figures(groups)
    return Conclusion(found, f"{text}\n\n{verdict_text(judged)}", _page(settings, groups, judged, drawn), drawn)


_ANSWER_HEADS = ["", "learned D: |bias|", "sd", "normalised: |bias|", "sd", "U taught with D: |V_g - V|"]


def answer(group: Group) -> list[str]:
    """Whether the learned discriminator lowers the bias here, and the price in variance: a row of a table."""
    cells = [group.title]
    for name in ("learned", "learned_normalised"):
        changes = (group.mean("irecgan", change(name, measure)) for measure in (size_of_bias, deviation))
        cells += map(_verdict, changes)
    return [*cells, _verdict(group.difference("irecgan", "unscored", model_bias))]


def _verdict(difference: Interval | None) -> str:
    if difference is None:
        return "not finite"
    if difference.alone:
        return f"{Verdict.OPEN.value} ({difference.text('+.3g')})"
    word = "lower" if difference.high < 0 else "higher" if difference.low > 0 else "no different"
    return f"{word} ({difference.text('+.3g')})"


_ESTIMATE_HEADS = ["estimate of V", "bias", "|bias|", "|bias| - plain", "sd", "sd - plain", "rms error"]
_SOURCE_HEADS = ["end of training", *ARMS, "irecgan - unscored", "irecgan - pgu"]


def _estimate_rows(group: Group) -> list[list[str]]:
    def row(name: str) -> list[str]:
        changes = [group.mean("irecgan", change(name, measure)) for measure in (size_of_bias, deviation)]
        offset, size, spread, whole = (
            group.mean("irecgan", measure(name)) for measure in (bias, size_of_bias, deviation, error)
        )
        return [
            _cell(offset, signed=True),
            _cell(size),
            _cell(changes[0], signed=True),
            _cell(spread),
            _cell(changes[1], signed=True),
            _cell(whole),
        ]

    return [[label, *row(name)] for name, label in ESTIMATES.items() if group.mean("irecgan", bias(name)) is not None]


def _source_rows(group: Group) -> list[list[str]]:
    return [
        [
            label,
            *(_cell(group.mean(arm, pick)) for arm in ARMS),
            *(_cell(group.difference("irecgan", other, pick), signed=True) for other in ("unscored", "pgu")),
        ]
        for label, pick in _SOURCES.items()
    ]


def _ratio_rows(groups: Sequence[Group]) -> list[list[str]]:
    return [[label, *(_cell(group.mean("irecgan", pick)) for group in groups)] for label, pick in _RATIOS.items()]


def _cell(interval: Interval | None, *, signed: bool = False) -> str:
    if interval is None:
        return "-"
    return interval.text("+.3g" if signed else ".3g")


def _group_json(group: Group) -> Json:
    def numbers(interval: Interval | None) -> Json | None:
        return None if interval is None else interval.to_json()

    measures = {"bias": bias, "size": size_of_bias, "deviation": deviation, "error": error}
    return {
        "scale": group.scale,
        "log": group.log,
        "estimates": {
            name: {
                **{key: numbers(group.mean("irecgan", measure(name))) for key, measure in measures.items()},
                "size_change": numbers(group.mean("irecgan", change(name, size_of_bias))),
                "deviation_change": numbers(group.mean("irecgan", change(name, deviation))),
                "bias_by_seed": group.values("irecgan", bias(name)),
            }
            for name in ESTIMATES
        },
        "sources": {
            label: {
                **{arm: numbers(group.mean(arm, pick)) for arm in ARMS},
                "irecgan - unscored": numbers(group.difference("irecgan", "unscored", pick)),
                "irecgan - pgu": numbers(group.difference("irecgan", "pgu", pick)),
            }
            for label, pick in _SOURCES.items()
        },
        "ratios": {label: numbers(group.mean("irecgan", pick)) for label, pick in _RATIOS.items()},
    }


def _page(settings: BiasSettings, groups: Sequence[Group], judged: Sequence[Judged], drawn: Mapping[str, str]) -> str:
    sampled = [group for group in groups if group.scale == "paper"]
    sections = [
        verdict_section(judged, settings.seeds),
        Section(
            "Does the discriminator lower the bias?",
            "Changes against no D with the same models, of Eq. (12) with the learned D as weight, as it stands and "
            "divided by its mean; and of the user model taught with D's scores against the one taught without. 95 % "
            "intervals.",
            table=Table(_ANSWER_HEADS, [answer(group) for group in groups]),
        ),
        Section(
            "Bias of the value estimates, round by round",
            "Of the models of irecgan: Eq. (12) with the weights named, lambda_1 = lambda_2 = 1/2, less the truth.",
            plot=drawn["estimates"],
        ),
        Section(
            "Sources of bias, round by round",
            "irecgan; the same without D's scores; and pgu, whose user model rests.",
            plot=drawn["sources"],
        ),
        Section(
            "Bias and its price",
            "Dark: |bias|. Light: standard deviation over samples of as many generated sessions as a round has.",
            plot=drawn["price"],
        ),
        *(section for group in groups for section in _group_sections(group)),
    ]
    if sampled:
        sections.append(_ratio_section(sampled))
    return render("The bias theory, measured", _summary(settings), sections)


def _group_sections(group: Group) -> list[Section]:
    """The tables of one scale and log."""
    return [
        Section(f"Estimates: {group.title}", "", table=Table(_ESTIMATE_HEADS, _estimate_rows(group))),
        Section(f"Sources: {group.title}", "", table=Table(_SOURCE_HEADS, _source_rows(group))),
    ]


def _ratio_section(sampled: Sequence[Group]) -> Section:
    """How unlike the log generated sessions are, in worlds whose sessions are sampled."""
    heads = ["end of irecgan", *(group.title for group in sampled)]
    note = "Chances of sampled sessions are exact; their ratios to the log's are not fit for averaging."
    return Section("How degenerate delta_2 is", note, table=Table(heads, _ratio_rows(sampled)))


def _summary(settings: BiasSettings) -> str:
    worlds = "; ".join(
        f"{scale}: {w.states} states, {w.items} items, slates of {w.slate_size}, {w.sessions} logged sessions of at "
        f"most {w.clicks} clicks"
        for scale, w in settings.worlds.items()
    )
    return (
        f"{worlds}. {settings.seeds} seeds, each with a world, a log and first weights that all arms share; means with "
        "95 % intervals of Student's t. In listed worlds every bias is exact: all sessions are enumerated."
    )
