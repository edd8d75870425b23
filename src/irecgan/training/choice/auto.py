"""Which of several recipes to learn from a log: the one that is worth most to users it did not learn from.

The log is halved, and every candidate is fitted to each half. What a policy believes of users that was chance in its
half goes for nothing in the other (cross-fitting; Chernozhukov et al., 2018, "Double/debiased machine learning").
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from irecgan.errors import UserError
from irecgan.runs.manifest import Candidate, Decision
from irecgan.seeding import Streams
from irecgan.training.choice.folds import Fitted, fit, two_folds
from irecgan.training.choice.judges import Folds, Judge, ListJudge, Scores, UserJudge
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.recipes import Recipe, admitted, find_recipe
from irecgan.training.slate_information import slate_information

FOLDER = "candidates"
"""In a run directory, while candidates are fitted."""

_BY_USERS = ("count", "pg", "slate", "latent")
_BY_LISTS = ("count", "lstm", "gru4rec", "pg", "linear", "terms")
"""Candidates; the first is what the others have to beat, see `to_beat`."""
_USERS, _LISTS = "latent", "linear"
"""The recipe whose users judge, and the one whose features of lists must not foretell clicks better."""
_SHOWN = 0.48
"""Of the catalogue, that the lists of a state have to show where it is plain which is whose: about half of it."""
_ERRORS, _SHARE = 1.0, 0.1
"""Standard errors, and share of its own score, by which a candidate has to beat the first. Fitted users are wrong in
ways that two halves of a log have in common, which standard errors do not show."""


def choose(data: TrainingData, config: TrainingConfig, streams: Streams, directory: Path) -> tuple[Recipe, Decision]:
    """What learns from the whole of ``data``, and why. What is under way lies in ``directory``.

    Where the log is too small to compare candidates it is the first one. Raises UserError for a candidate that is no
    recipe, or chooses itself, and where none can be fitted.
    """
    first = _candidates(config.candidates, _BY_USERS)[0]
    folds = two_folds(data, config, streams.child("auto"))
    if isinstance(folds, str):
        return _without_comparing(first, folds, data, streams)
    tournament = _Tournament(folds, config, streams.child("auto"), directory / FOLDER)
    judge = tournament.judge()
    if isinstance(judge, ListJudge) and (few := judge.too_few):
        return _without_comparing(first, few, data, streams)
    default = _BY_USERS if isinstance(judge, UserJudge) else _BY_LISTS
    names = _candidates(config.candidates, default)
    found = {name: tournament.enter(name) for name in tqdm(names, desc="candidates", disable=None, leave=False)}
    scores = {name: judge.scores(pair) for name, pair in found.items() if not isinstance(pair, Candidate)}
    if not scores:
        raise UserError("recipe auto: none of the candidates " + ", ".join(names) + " can be fitted to this log")
    slates = slate_information(data, streams.child("auto"))
    figures = {**slates.metrics, **judge.figures, **tournament.figures}
    kept, best = winner(scores, to_beat(scores, trusted=are_trusted(figures))), highest(scores)
    learns, gate = admitted(find_recipe(kept), data, streams)
    considered = [
        pair if isinstance(pair, Candidate) else _considered(name, pair, scores[name], judge)
        for name, pair in found.items()
    ]
    decision = Decision(
        learned=learns.name,
        reason=_reason(kept, best, scores, judge) + ("" if gate is None else f"; {gate.reason}"),
        figures=figures,
        candidates=tuple(considered),
    )
    return learns, decision


def forget(directory: Path) -> None:
    """Remove what was fitted in order to choose."""
    shutil.rmtree(directory / FOLDER, ignore_errors=True)


def _without_comparing(first: str, why: str, data: TrainingData, streams: Streams) -> tuple[Recipe, Decision]:
    """The ``first`` candidate, and ``why`` no others were compared with it."""
    learns, gate = admitted(find_recipe(first), data, streams)
    reason = f"{first} is the first candidate, and none were compared: {why}"
    figures = dict(slate_information(data, streams.child("auto")).metrics)
    return learns, Decision(
        learned=learns.name, reason=reason + ("" if gate is None else f"; {gate.reason}"), figures=figures
    )


class _Tournament:
    """Fits candidates to the two halves of a log, each once."""

    def __init__(self, folds: Folds, config: TrainingConfig, streams: Streams, folder: Path) -> None:
        self.folds = folds
        self.config = config
        self.streams = streams
        self.folder = folder
        self.figures: dict[str, float] = {}
        self._entered: dict[str, tuple[Fitted, Fitted] | Candidate] = {}

    def enter(self, name: str) -> tuple[Fitted, Fitted] | Candidate:
        """The recipe called ``name`` fitted to each half; the reason where it cannot be."""
        if name not in self._entered:
            try:
                first, second = (
                    fit(find_recipe(name), fold, self.config, self.streams.child(name, i), self.folder / f"{name}-{i}")
                    for i, fold in enumerate(self.folds)
                )
                self._entered[name] = _twice(name, first) or _twice(name, second) or (first, second)
            except UserError as error:
                self._entered[name] = Candidate(name=name, learned=name, estimate=None, note=str(error))
        return self._entered[name]

    def judge(self) -> Judge:
        """Users with a hidden state where these can judge and the setting does not say otherwise, else lists."""
        if self.config.choose_by == "lists":
            return ListJudge(self.folds, self.config)
        users = self._users()
        if isinstance(users, UserJudge):
            return users
        if self.config.choose_by == "users":
            raise UserError(f"setting choose_by: found users; {users}")
        return ListJudge(self.folds, self.config, why=users)

    def _users(self) -> UserJudge | str:
        """The users who judge, or why there are none."""
        if not self.folds[0].final_slates:
            return "the log does not hold the slates at which users left"
        users = self.enter(_USERS)
        if isinstance(users, Candidate):
            return users.note or f"{_USERS} gives way to {users.learned}"
        judge = UserJudge.of(users, self.folds, self.config, self.streams)
        if self.config.choose_by is None and (lists := self._lists_tell_more(judge)):
            return lists
        return judge

    def _lists_tell_more(self, judge: UserJudge) -> str | None:
        """What to say where the features of a list foretell clicks better than the users do: these know no order."""
        lists = self.enter(_LISTS)
        if isinstance(lists, Candidate):
            return None
        found = judge.foretold(lists)
        self.figures = found.figures
        if not found.lists_tell_more:
            return None
        by_lists, by_users = found.figures["clicks/by_lists"], found.figures["clicks/by_users"]
        return (
            f"what is seen of a list foretells clicks better than users with a hidden state do ({by_lists:.3f} "
            f"against {by_users:.3f} nats per click), as where something else retrieved the lists"
        )


def highest(scores: Mapping[str, Scores]) -> str:
    """The candidate with the highest score."""
    return max(scores, key=lambda name: scores[name].mean)


def are_trusted(figures: Mapping[str, float]) -> bool:
    """Whether the fitted users are believed, by what was found in the log.

    They are where slates tell nothing: made without knowing the user, these confound nothing, and what items are worth
    is told best by a model of the choice within slates. They are, too, where it is plain in which state a slate was
    made, if the lists of a state show much of the catalogue: a plan needs items that the log does not show there.
    """
    plain = figures.get("users/states_by_lists") == 1 and figures["users/shown"] >= _SHOWN
    return figures["slates/silent"] == 1 or plain


def to_beat(scores: Mapping[str, Scores], *, trusted: bool) -> str:
    """The candidate that others have to beat: that of the fitted users where these are ``trusted``, else the first."""
    return _USERS if trusted and _USERS in scores else next(iter(scores))


def winner(scores: Mapping[str, Scores], first: str) -> str:
    """The candidate with the highest score where that beats the ``first`` one clearly, else the first one."""
    own, best = scores[first], highest(scores)
    margin = max(_ERRORS * own.error_behind(scores[best]), _SHARE * scores[best].mean)
    return best if own.behind(scores[best]) > margin else first


def _twice(name: str, fitted: Fitted) -> Candidate | None:
    """What to say of a recipe that gave way to another one."""
    if fitted.learned == name:
        return None
    return Candidate(name=name, learned=fitted.learned, estimate=None, note=f"gives way to {fitted.learned} here")


def _candidates(told: str | None, default: Sequence[str]) -> list[str]:
    names = list(default) if told is None else [name.strip() for name in told.split(",")]
    for name in names:
        if find_recipe(name).chooses:
            raise UserError(f"setting candidates: found {name!r}; expected recipes that do not choose themselves")
    return list(dict.fromkeys(names))


def _considered(name: str, pair: tuple[Fitted, Fitted], score: Scores, judge: Judge) -> Candidate:
    return Candidate(
        name=name,
        learned=pair[0].learned,
        estimate=score.mean,
        error=score.error,
        off_policy=judge.off_policy(pair),
        seconds=sum(fitted.seconds for fitted in pair),
    )


def _reason(kept: str, best: str, scores: dict[str, Scores], judge: Judge) -> str:
    """One sentence."""
    said = ", ".join(f"{name} {score.mean:.3f}" for name, score in scores.items())
    beaten = "" if kept == best else f", but does not clearly beat {kept}"
    by = f"; by lists, because {judge.why}" if judge.why else ""
    return f"{best} has the highest {judge.measure}{beaten} ({said}){by}"
