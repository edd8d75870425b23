"""The phases a training is made of. A unit is one epoch or one round: the grain of resuming."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from irecgan.data.batch import Sessions, SessionSource
from irecgan.data.ragged import offsets
from irecgan.models.agent import Agent
from irecgan.models.networks import ModelName
from irecgan.objectives.policy import click_worth
from irecgan.training.calibration import calibrate_stop
from irecgan.training.config import TrainingConfig
from irecgan.training.guard import PREDICTED
from irecgan.training.information import newton_step
from irecgan.training.journal import Metrics, Name
from irecgan.training.lab import Lab
from irecgan.training.learner import mean_loss

CALIBRATION = 5_000
"""Logged sessions on which U's rate of stopping is calibrated."""
NEWTON_STEPS = 8
"""At most; from a fitted model, three or four reach the maximum."""

Diagnosis = Callable[[Agent, Sessions, TrainingConfig], Metrics]
"""Further figures on how the agent learns, from held-out sessions."""


class Phase(Protocol):
    """A part of a training that repeats one unit of work until validation says stop."""

    @property
    def name(self) -> str:
        """Its name in logs and random streams."""
        ...

    @property
    def keeps(self) -> tuple[ModelName, ...]:
        """The models whose best weights are kept, judged together; none = the last are kept."""
        ...

    @property
    def teaches(self) -> tuple[ModelName, ...]:
        """The models that learn in it."""
        ...

    def limit(self, lab: Lab) -> int:
        """The most units."""
        ...

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One epoch or round. With ``keeps`` the metrics hold ``validation``, lower is better."""
        ...


@dataclass(frozen=True)
class Fit:
    """Fit the user model by Eq. (3), or the agent by its recipe's objective such as Eq. (9)/(10), to the log alone."""

    model: ModelName
    diagnose: Diagnosis | None = None

    @property
    def name(self) -> str:
        """``fit-user`` or ``fit-agent``."""
        return f"fit-{self.model}"

    @property
    def keeps(self) -> tuple[ModelName, ...]:
        """The model fitted."""
        return (self.model,)

    @property
    def teaches(self) -> tuple[ModelName, ...]:
        """The model fitted."""
        return (self.model,)

    def limit(self, lab: Lab) -> int:
        """The most epochs."""
        return lab.config.user_epochs if self.model == "user" else lab.config.agent_epochs

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One epoch."""
        name = (self.name, index)
        metrics = lab.journal.part(name, lambda: fit_epoch(lab, self.model, lab.data.train, name))
        return metrics if self.diagnose is None else metrics | self.diagnose(lab.agent, lab.data.validation, lab.config)


@dataclass(frozen=True)
class Sharpen:
    """Take the weights of U's terms to their maximum by Newton's steps, the rest of U as it is, while that helps.

    Steps of a gradient at the rate of terms stay as coarse as that rate. Unit 0 leaves them as they are, to compare.
    """

    name: str = "sharpen-terms"
    keeps: tuple[ModelName, ...] = ("user",)
    teaches: tuple[ModelName, ...] = ("user",)

    def limit(self, lab: Lab) -> int:
        """The most steps, after unit 0; none without terms."""
        return 1 if lab.user.terms is None else NEWTON_STEPS + 1

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One step on the log."""
        if index:
            newton_step(lab.user, lab.data.train, lab.config.terms_prior)
            calibrate_stop(lab.user, lab.data.some(CALIBRATION), processes=lab.processes)
        validation = mean_loss(lab.judges["user"], lab.data.validation, processes=lab.processes)
        return {"user/validation": validation, "validation": validation}


@dataclass(frozen=True)
class FitDiscriminator:
    """Teach D to tell logged sessions from generated ones, Eq. (5), before its first verdict counts."""

    name: str = "fit-discriminator"
    keeps: tuple[ModelName, ...] = ()
    teaches: tuple[ModelName, ...] = ("discriminator",)

    def limit(self, lab: Lab) -> int:
        """The epochs; there is no early stopping."""
        return lab.config.discriminator_epochs

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One epoch against freshly generated sessions."""
        return discriminator_epoch(lab, (self.name, index))


@dataclass(frozen=True)
class Rounds:
    """Generate sessions and learn from them beside the log, round by round.

    ``scored``: generated sessions weigh by q_D of Eq. (6) and U and D go on learning (IRecGAN, LSTMD);
    otherwise they weigh 1 and only the agent learns (PGU). ``user``: U goes on learning without scores too.
    """

    scored: bool
    keeps: tuple[ModelName, ...]
    name: str = "rounds"
    user: bool = False

    @property
    def teaches(self) -> tuple[ModelName, ...]:
        """The agent; with ``scored`` all three."""
        if self.scored:
            return ("user", "agent", "discriminator")
        return ("user", "agent") if self.user else ("agent",)

    def limit(self, lab: Lab) -> int:
        """The most rounds."""
        return lab.config.rounds

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One round: the agent's epochs, each with fresh generated sessions, then U's, then D's."""
        metrics: Metrics = {}
        for epoch in range(lab.config.agent_epochs_per_round):
            metrics |= self._epoch(lab, "agent", (self.name, index, "agent", epoch), told=True)
        if self.scored or self.user:
            for epoch in range(lab.config.user_epochs_per_round):
                metrics |= self._epoch(lab, "user", (self.name, index, "user", epoch), told=False)
        if self.scored:
            for epoch in range(lab.config.discriminator_epochs):
                metrics |= discriminator_epoch(lab, (self.name, index, "discriminator", epoch))
        losses = [mean_loss(lab.judges[model], lab.data.validation, processes=lab.processes) for model in self.keeps]
        return metrics | {"validation": losses[0]}

    def _epoch(self, lab: Lab, model: ModelName, name: Name, *, told: bool) -> Metrics:
        """One epoch of U or A on the log and freshly generated sessions, of which the metrics tell if ``told``."""

        def work() -> Metrics:
            generated, seen = lab.journal.generated(lambda: self._generated(lab, name))
            return (seen if told else {}) | fit_epoch(lab, model, lab.data.mixed(generated), name)

        return lab.journal.part(name, work)

    def _generated(self, lab: Lab, name: Name) -> tuple[Sessions, Metrics]:
        count = max(1, round(lab.config.generated_ratio * len(lab.data.train)))
        made = lab.generate_sessions(count, lab.own_stream(*name, "generate"), scored=self.scored)
        return made, score_metrics(made) | length_metrics(lab, made) | value_metrics(made, lab.config.lambda_r)


def fit_epoch(lab: Lab, model: ModelName, sessions: SessionSource, name: Name) -> Metrics:
    """One epoch of U or A on ``sessions``; the losses per session on them and on held-out ones."""
    generator = lab.streams.torch(*name, "shuffle")
    negatives = lab.streams.torch(*name, "negatives")
    lab.journal.draws(negatives)
    loss = lab.loss(model, negatives)
    train = lab.learners[model].epoch(loss, sessions, lab.config.batch_size, generator, lab.journal)
    if model == "user":
        calibrate_stop(lab.user, lab.data.some(CALIBRATION), processes=lab.processes)
    validation = mean_loss(lab.judges[model], lab.data.validation, processes=lab.processes)
    return {f"{model}/loss": train, f"{model}/validation": validation, "validation": validation}


def discriminator_epoch(lab: Lab, name: Name) -> Metrics:
    """One epoch of D against as many freshly generated sessions as logged ones."""
    return lab.journal.part(name, lambda: _discriminator_epoch(lab, name))


def _discriminator_epoch(lab: Lab, name: Name) -> Metrics:
    count = min(lab.config.discriminator_sessions, len(lab.data.train))
    processes = lab.processes
    batch = lab.generate(processes.portion(count), lab.own_stream(*name, "generate"), scored=False)
    generated = lab.gathered(Sessions.from_batch(batch.to("cpu")), count)
    found = lab.discriminator_epoch(generated, lab.streams.torch(*name, "shuffle"))
    with torch.no_grad():
        score = torch.sigmoid(lab.discriminator(batch)).mean().double()
    judged = processes.sum(torch.stack([score * len(batch), torch.full_like(score, len(batch))])).tolist()
    metrics = {f"discriminator/{key}": value for key, value in found.items()}
    return metrics | {"discriminator/generated_score": judged[0] / judged[1]} | length_metrics(lab, generated)


def score_metrics(generated: Sessions) -> Metrics:
    """The mean and spread of q over generated steps."""
    score = generated.score
    return {"generated/score_mean": float(score.mean()), "generated/score_std": float(score.std(correction=0))}


def length_metrics(lab: Lab, generated: Sessions) -> Metrics:
    """Clicks per generated session beside those of the log."""
    clicks = offsets((generated.position >= 0).long())[generated.step_start].diff()
    return {"generated/clicks": float(clicks.float().mean()), "logged/clicks": lab.data.clicks}


def value_metrics(generated: Sessions, lambda_r: float) -> Metrics:
    """What U predicts that a session of the agent is worth: the sum over its clicks of 1 + lambda_r r."""
    worth = click_worth(generated.reward, generated.position >= 0, lambda_r)
    return {PREDICTED: float(worth.sum() / len(generated))}
