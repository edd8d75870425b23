"""Ways to put a discriminator to use, and to do without: as recipes, labs and rules that the benchmark combines."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch, Sessions
from irecgan.models.discriminator import Discriminator
from irecgan.models.networks import ModelName
from irecgan.models.recurrent import initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.lab import Lab, make_lab
from irecgan.training.learner import Learner
from irecgan.training.loop import run_phases
from irecgan.training.phases import Fit, Rounds
from irecgan.training.recipes import RECIPES, Recipe

Weights = dict[str, Tensor]
Metrics = dict[str, float | str]

SCORE = "discriminator/generated_score"
"""How often D takes generated sessions for logged ones, on average."""
MEMBERS = 3
"""User models of an ensemble."""
JUDGED = 1_000
"""Sessions of every round by which one discriminator compares the rounds."""
EPOCHS = 5
"""Epochs in which that discriminator learns."""


class AdditiveDiscriminator(Discriminator):
    """A D whose logit of a session is the sum of a term for each step.

    At the optimum of Eq. (5) a term is the log ratio of the chances that log and generator give to the step, so
    the sum so far judges the steps so far: no completions are needed.
    """

    def terms(self, batch: SessionBatch) -> Tensor:
        """What each step adds; 0 on padding. (B, T)"""
        mean = self._mean_embedding(batch.slate, batch.shown)  # (B, T, E)
        outputs = self.recurrent(self._inputs(mean, batch.click, batch.reward))  # (B, T, H)
        real = batch.real
        return torch.zeros_like(batch.reward).masked_scatter(
            real, self._verdict(outputs[real], mean[real], batch.ended[real])
        )

    def forward(self, batch: SessionBatch) -> Tensor:
        """Logits of D(tau). (B,)"""
        return self.terms(batch).sum(1)


class WithoutSlates(AdditiveDiscriminator):
    """The same, of clicks, rewards and ends alone: slates are not read."""

    def _mean_embedding(self, slate: Tensor, shown: Tensor) -> Tensor:  # noqa: ARG002
        return self.embedding.weight.new_zeros(*slate.shape[:-1], self.embedding.embedding_dim)


class Weigh(Protocol):
    """What the steps of generated sessions weigh."""

    def __call__(self, lab: Lab, batch: SessionBatch) -> Tensor:
        """Weights of all steps. (B, T)"""
        ...


def verdict_so_far(lab: Lab, batch: SessionBatch) -> Tensor:
    """D of the steps so far, without completions. (B, T)"""
    if not isinstance(lab.discriminator, AdditiveDiscriminator):
        raise TypeError("expected a discriminator that adds up terms of steps")
    return torch.sigmoid(lab.discriminator.terms(batch).cumsum(1))


@dataclass(frozen=True)
class Agreement:
    """The chance of what happened so far under the most doubtful of other user models, over that of U; at most 1."""

    others: Sequence[RecurrentUserModel]

    def __call__(self, lab: Lab, batch: SessionBatch) -> Tensor:
        """Weights of all steps. (B, T)"""
        own = click_log_chances(lab.user, batch)
        ratios = [(click_log_chances(other, batch) - own).cumsum(1) for other in self.others]
        return torch.stack(ratios).amin(0).clamp(max=0).exp()


def click_log_chances(user: RecurrentUserModel, batch: SessionBatch) -> Tensor:
    """The log chance of each step's click or end, given its slate; 0 on padding. (B, T)"""
    position = batch.position[batch.real]
    outcome = user(batch).outcome  # (M, K + 1)
    chosen = torch.where(position == NOTHING, outcome.shape[1] - 1, position)
    found = outcome.gather(1, chosen[:, None]).squeeze(1)
    return torch.zeros_like(batch.reward).masked_scatter(batch.real, found)


@dataclass(frozen=True)
class WeighingLab(Lab):
    """A lab whose generated sessions are not completed and judged: their steps weigh what ``weigh`` says."""

    weigh: Weigh

    @classmethod
    def of(cls, lab: Lab, weigh: Weigh) -> "WeighingLab":
        """``lab`` with other weights."""
        return cls(**{each.name: getattr(lab, each.name) for each in fields(Lab)}, weigh=weigh)

    @torch.no_grad()
    def generate_sessions(self, sessions: int, generator: torch.Generator, *, scored: bool) -> Sessions:  # noqa: ARG002
        """Weighed sessions, whether or not D scores them in the recipe."""
        made = super().generate_sessions(sessions, generator, scored=False)
        batch = made.batch(torch.arange(len(made)))
        return replace(made, score=self.weigh(self, batch)[batch.real])


def with_judge(lab: Lab, kind: type[Discriminator], *stream: str) -> Lab:
    """``lab`` with a new discriminator of ``kind``, and its learner. Weights are drawn from the lab's ``stream``."""
    with torch.random.fork_rng(devices=[]):
        judge = kind(lab.config.size(lab.data.items), lab.data.reward_law)
    initialise(judge, lab.streams.torch(*stream))
    learner = Learner(judge, lab.config.discriminator_learning_rate, lab.config.discriminator_clip)
    return replace(lab, discriminator=judge, learners={**lab.learners, "discriminator": learner})


@dataclass(frozen=True)
class History:
    """A training that is over, and the agent after each of its rounds."""

    lab: Lab
    metrics: Sequence[Metrics]
    agents: Sequence[Weights]
    worth: Callable[[Weights], float]  # in the world, by draws of its own


Rule = Callable[[History], int]
"""Which of the rounds to keep."""


def lowest_loss(history: History) -> int:
    """By the held-out loss: what recipes do."""
    return min(range(len(history.metrics)), key=lambda i: float(history.metrics[i]["validation"]))


def highest_score(history: History) -> int:
    """Where D, which learns on, is deceived most."""
    return max(range(len(history.metrics)), key=lambda i: float(history.metrics[i][SCORE]))


def before_the_first_fall(history: History) -> int:
    """Stop as soon as D is deceived less than a round before."""
    scores = [float(metrics[SCORE]) for metrics in history.metrics]
    return next((i - 1 for i in range(1, len(scores)) if scores[i] < scores[i - 1]), len(scores) - 1)


def last(history: History) -> int:
    """The last."""
    return len(history.metrics) - 1


def truly_best(history: History) -> int:
    """By the true worth: no rule can do better, and nobody knows it from a log."""
    return max(range(len(history.agents)), key=lambda i: history.worth(history.agents[i]))


def one_judge(history: History) -> int:
    """By one new D, taught to tell the log from the sessions of all rounds: where it is deceived most.

    All agents meet the same users, those of the last round, so that only the agents differ.
    """
    lab = with_judge(history.lab, Discriminator, "one-judge")
    share = -(-len(lab.data.train) // len(history.agents))
    for epoch in range(EPOCHS):
        made = [_played(lab, agent, share, "learn", epoch, i) for i, agent in enumerate(history.agents)]
        lab.discriminator_epoch(Sessions.concat(made), lab.streams.torch("one-judge", "shuffle", epoch))
    scores = []
    for i, agent in enumerate(history.agents):
        made_now = _played(lab, agent, JUDGED, "judge", i)
        with torch.no_grad():
            verdict = lab.discriminator(made_now.batch(torch.arange(len(made_now))))
        scores.append(float(torch.sigmoid(verdict).mean()))
    return scores.index(max(scores))


def _played(lab: Lab, agent: Weights, sessions: int, *stream: str | int) -> Sessions:
    lab.agent.load_state_dict(agent)
    return Sessions.from_batch(lab.generate(sessions, lab.streams.torch("one-judge", *stream), scored=False))


FITTED = replace(RECIPES["pgu"], phases=(Fit("user"), Fit("agent")))
"""The phases that all variants have in common."""
States = dict[ModelName, dict[str, Tensor]]
"""Of learners: weights, and the state of the optimiser."""


@dataclass(frozen=True)
class Variant:
    """A recipe with settings and, perhaps, another D or other weights; each rule for its rounds is one row."""

    recipe: Recipe
    rules: dict[str, Rule]
    settings: dict[str, Any] = field(default_factory=dict)
    judge: type[Discriminator] | None = None  # in place of the D of the recipe
    weigh: Weigh | None = None  # in place of q_D by completions
    members: int = 1  # user models, whose agreement weighs the sessions of the first

    @property
    def rest(self) -> Recipe:
        """The recipe without the phases of `FITTED`."""
        return replace(self.recipe, phases=[phase for phase in self.recipe.phases if phase not in FITTED.phases])

    def lab(self, data: TrainingData, config: TrainingConfig, streams: Streams, fitted: States) -> Lab:
        """The lab in which it learns the `rest`, once U and A are ``fitted``."""
        lab = make_plain(self.recipe, data, config, streams)
        for name, learner in lab.learners.items():
            if name in fitted:
                learner.load_state(fitted[name])
        if self.judge is not None:
            lab = with_judge(lab, self.judge, "initialise", "discriminator")
        if self.members > 1:
            others = [_user(data, config, streams.child("member", i)) for i in range(1, self.members)]
            return WeighingLab.of(lab, Agreement(others))
        return lab if self.weigh is None else WeighingLab.of(lab, self.weigh)


def make_plain(recipe: Recipe, data: TrainingData, config: TrainingConfig, streams: Streams) -> Lab:
    """The lab of ``recipe`` as `irecgan.train` has it."""
    return make_lab(data, config, streams, recipe.agent_loss, recipe.heads, judge=recipe.judge, teaches=recipe.teaches)


def fit_once(data: TrainingData, config: TrainingConfig, streams: Streams) -> States:
    """What all variants begin with: U and A fitted to the log, to the bit as each would fit them by itself."""
    lab = make_plain(FITTED, data, config, streams)
    with tempfile.TemporaryDirectory() as folder:
        run_phases(FITTED, lab, Path(folder))
    return {name: learner.state() for name, learner in lab.learners.items()}


def _user(data: TrainingData, config: TrainingConfig, streams: Streams) -> RecurrentUserModel:
    """One more user model, fitted to the log as all are."""
    recipe = RECIPES["lstm"]
    lab = make_plain(recipe, data, config, streams)
    with tempfile.TemporaryDirectory() as folder:
        run_phases(recipe, lab, Path(folder))
    return lab.user


_ADAPTING = replace(
    RECIPES["pgu"],
    phases=(Fit("user"), Fit("agent"), Rounds(scored=False, user=True, keeps=("agent",))),
)
_RULES: dict[str, Rule] = {
    "irecgan": lowest_loss,
    "irecgan, kept where D is deceived most": highest_score,
    "irecgan, stopped when D is deceived less": before_the_first_fall,
    "irecgan, kept where one D of all rounds is deceived most": one_judge,
    "irecgan, last round": last,
    "irecgan, truly best round": truly_best,
}
STEPS = "irecgan, verdicts of steps, 1:1"
BLIND = "irecgan, verdicts of steps without slates, 1:1"
ENSEMBLE = f"pgu, weighed by {MEMBERS} U, 1:1"
_EVEN = {"generated_ratio": 1.0}
_IRECGAN = RECIPES["irecgan"]
VARIANTS = (
    Variant(RECIPES["pg"], {"pg": last}),
    Variant(RECIPES["pgu"], {"pgu": lowest_loss}),
    Variant(_ADAPTING, {"pgu, U learns on": lowest_loss}),
    Variant(_IRECGAN, _RULES),
    Variant(RECIPES["pgu"], {"pgu, 1:1": lowest_loss}, _EVEN),
    Variant(_ADAPTING, {"pgu, U learns on, 1:1": lowest_loss}, _EVEN),
    Variant(_IRECGAN, {"irecgan, 1:1": lowest_loss}, _EVEN),
    Variant(_IRECGAN, {STEPS: lowest_loss}, _EVEN, AdditiveDiscriminator, verdict_so_far),
    Variant(_IRECGAN, {BLIND: lowest_loss}, _EVEN, WithoutSlates, verdict_so_far),
    Variant(RECIPES["pgu"], {ENSEMBLE: lowest_loss}, _EVEN, members=MEMBERS),
)
"""What is trained. With 1:1 there are as many generated sessions as logged ones, so that their weights matter."""
