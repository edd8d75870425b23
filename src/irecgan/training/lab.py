"""The models of a training with their learners, and the sessions they generate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions, last_clicked
from irecgan.data.columns import TOUCHES
from irecgan.data.order import bucketed
from irecgan.data.ragged import offsets
from irecgan.errors import UserError
from irecgan.models.agent import Agent, Head
from irecgan.models.content import hide_ids
from irecgan.models.discriminator import Discriminator
from irecgan.models.latent import LatentUserModel
from irecgan.models.lists import ListUserModel
from irecgan.models.networks import FITTED, NETWORKS, ModelName, Network
from irecgan.models.terms import TERMS
from irecgan.models.user import Learning, RecurrentUserModel
from irecgan.objectives.adversarial import discriminator_loss
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import Stage, rollout, scored_rollout
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.distributed import ALONE, Processes
from irecgan.training.equipment import attach, new_learners, new_networks, new_proposal
from irecgan.training.journal import Journal
from irecgan.training.learner import Fitted, Learner, Loss
from irecgan.training.likelihood import Likelihood, Sampled, exact
from irecgan.training.losses import AgentLoss, policy_gradient, user_loss
from irecgan.training.negatives import Proposal
from irecgan.worlds.learned import LearnedWorld

T = TypeVar("T")

GENERATED_AT_ONCE = 10_000
"""Sessions, of those made for one epoch, that are padded to one length."""
_KEPT = ("item", "click", "position", "reward", "propensity", "score", "touched", "generated")
"""What sessions hold besides where they begin, and context, which generated ones have none of."""


@dataclass(frozen=True)
class Lab:
    """Everything a phase of training works with."""

    data: TrainingData
    config: TrainingConfig
    streams: Streams
    user: RecurrentUserModel
    agent: Agent
    discriminator: Discriminator
    latent: LatentUserModel
    linear: ListUserModel
    boosting: ListUserModel
    learners: Mapping[ModelName, Learner]  # of the models that learn by gradients
    fitted: Mapping[ModelName, Fitted]  # those that learn otherwise
    losses: Mapping[ModelName, Loss]  # of U and A, as functions of a batch; D's takes two batches
    judges: Mapping[ModelName, Loss]  # by which U and A are judged on held-out sessions, whatever they learn by
    journal: Journal  # of the unit under way
    agent_loss: AgentLoss
    proposal: Proposal | None  # of negatives, where the agent learns by a sampled softmax
    processes: Processes  # that train together
    known: dict[str, Any] = field(default_factory=dict, kw_only=True)  # see `once`

    def once(self, name: str, find: Callable[[], T]) -> T:
        """What ``find`` found when first asked for by this ``name``; it must depend on data and seed alone."""
        if name not in self.known:
            self.known[name] = find()
        return cast(T, self.known[name])

    def model(self, name: ModelName) -> Network:
        """A model by its name."""
        return cast(Network, getattr(self, name))

    @property
    def states(self) -> Mapping[ModelName, Learner | Fitted]:
        """All that learns, with what a checkpoint keeps of it."""
        return {**self.learners, **self.fitted}

    def loss(self, name: ModelName, generator: torch.Generator) -> Loss:
        """What U or A learns by; ``generator`` is for negatives, ids that are dropped and U's dropout."""
        loss = self.losses[name]
        if name == "user":
            learning = Learning(self.config.user_dropout, generator)
            loss = partial(user_loss, self.user, config=self.config, learning=learning)
        elif self.proposal is not None:
            loss = partial(self.agent_loss, self.agent, config=self.config, likelihood=self.likelihood(generator))
        return self.without_some_ids(name, loss, generator)

    def without_some_ids(self, name: ModelName, loss: Loss, generator: torch.Generator) -> Loss:
        """``loss`` of a model with ids that are dropped, where it reads columns of items and the settings say so."""
        if self.data.inputs.items is not None and self.config.id_dropout:
            return _DroppedIds(loss, self.model(name), self.data.items, self.config.id_dropout, generator)
        return loss

    def likelihood(self, generator: torch.Generator) -> Likelihood:
        """By which the agent learns; ``generator`` is for negatives."""
        return exact(self.config) if self.proposal is None else Sampled(self.proposal, generator)

    @property
    def slate_size(self) -> int:
        """The number of items that the agent shows."""
        return min(self.config.slate_size or self.data.slate_size, self.data.items)

    def stage(self, *, judged: bool) -> Stage:
        """Where the agent, sampling its slates, meets the learned users."""
        return Stage(
            policy=RankingPolicy(self.agent, self.slate_size, sampled=True),
            world=LearnedWorld(self.user),
            max_length=self.config.max_length or self.data.longest,
            judge=self.discriminator if judged else None,
            final_slates=self.data.final_slates,
        )

    def generate(self, sessions: int, generator: torch.Generator, *, scored: bool) -> SessionBatch:
        """Sessions of agent and user model; with ``scored`` each step has its q_D of Eq. (6), else 1.

        They are on the device of the models, as ``generator`` has to be.
        """
        stage = self.stage(judged=scored)
        if scored:
            batch = scored_rollout(stage, sessions, completions=self.config.completions, generator=generator)
        else:
            batch = rollout(
                stage.policy,
                stage.world,
                sessions,
                max_length=stage.max_length,
                generator=generator,
                final_slates=stage.final_slates,
            )
        if self.user.terms is None:
            return batch
        made = torch.ones(sessions, dtype=torch.bool, device=batch.slate.device)
        return replace(batch, touched=last_clicked(batch), generated=made)

    def own_stream(self, *name: str | int) -> torch.Generator:
        """The stream called ``name`` of this process alone, on the device of the models."""
        return self.streams.torch(*name, *self.processes.branch, device=self.processes.device)

    def generate_sessions(self, sessions: int, generator: torch.Generator, *, scored: bool) -> Sessions:
        """As `generate`, GENERATED_AT_ONCE at a time. Every process makes a part, by its own stream, and gets all."""
        mine = self.processes.portion(sessions)
        counts = torch.full((-(-mine // GENERATED_AT_ONCE),), GENERATED_AT_ONCE)
        counts[-1] += mine - int(counts.sum())
        made = [self.generate(count, generator, scored=scored).to("cpu") for count in counts.tolist()]
        return self.gathered(Sessions.concat([Sessions.from_batch(batch) for batch in made]), sessions)

    def gathered(self, mine: Sessions, sessions: int) -> Sessions:
        """The first ``sessions`` of those that all processes made."""
        if self.processes.size == 1:
            return mine
        kept = {name: value for name in _KEPT if (value := getattr(mine, name)) is not None}
        given = {"steps": mine.steps, "sizes": mine.slate_sizes, **kept}
        found = dict(zip(given, self.processes.gather_all(list(given.values())), strict=True))
        step_start, item_start = offsets(found.pop("steps")), offsets(found.pop("sizes"))
        every = Sessions(step_start, item_start, catalogue_size=mine.catalogue_size, **found)  # type: ignore[arg-type]
        return every.select(torch.arange(sessions))

    def discriminator_epoch(self, generated: Sessions, generator: torch.Generator) -> dict[str, float]:
        """One pass of D over ``generated`` and as many logged sessions. Loss and accuracy."""
        learner, processes = self.learners["discriminator"], self.processes
        size = self.config.batch_size * processes.size
        rows = torch.randperm(len(self.data.train), generator=generator)[: len(generated)]
        logged = self.data.train.select(rows)
        found, total = torch.zeros(2, dtype=torch.float64, device=processes.device), 0  # losses, right verdicts
        lengths = logged.steps, generated.steps
        every = Sessions.concat([replace(logged, context=None), generated])  # D reads no context
        pairs = zip(*(bucketed(each, size, generator) for each in lengths), strict=False)
        for real, made in pairs:
            mine, of_logged = processes.share(real, lengths[0][real])
            yours, of_generated = processes.share(made, lengths[1][made])
            batch = every.batch(torch.cat([mine, len(logged) + yours])).to(processes.device)
            lesson = _Lesson(self.discriminator, batch, len(mine), (of_logged, of_generated))
            value = learner.step(lesson) * len(real)
            found += torch.stack([value, lesson.right])
            total += len(real) + len(made)
        loss, right = processes.sum(found).tolist()
        return {"loss": loss / len(logged), "accuracy": right / total}


class _Lesson:
    """One step of D: the loss of its share of a batch, and how many of its verdicts were ``right``.

    The first ``logged`` sessions of ``batch`` are logged ones, the others generated. D reads them in one call: its
    products are the larger, and gradients of its weights are multiplied out once.
    """

    def __init__(self, judge: Discriminator, batch: SessionBatch, logged: int, shares: tuple[float, float]) -> None:
        self.judge, self.batch, self.logged, self.shares = judge, batch, logged, shares
        self.right = torch.zeros(())

    def __call__(self) -> Tensor:
        logits: Tensor = self.judge(self.batch)
        high, low = logits[: self.logged], logits[self.logged :]
        known, made = (share > 0 for share in self.shares)
        self.right = ((high > 0).sum() * known + (low < 0).sum() * made).double()
        return discriminator_loss(high, low, self.shares)


def make_lab(
    data: TrainingData,
    config: TrainingConfig,
    streams: Streams,
    agent_loss: AgentLoss,
    heads: Sequence[Head] = (),
    *,
    judge: AgentLoss = policy_gradient,
    teaches: Sequence[ModelName] = NETWORKS,
    processes: Processes = ALONE,
) -> Lab:
    """Models with weights drawn from ``streams``, and their learners.

    ``heads``: of the agent. ``judge``: the held-out loss that says when the agent has learned enough.
    ``teaches``: the models that will learn; the others have shapes, but no weights. ``processes``: that train
    together, and where.
    """
    config = with_told_terms(config, data)
    models = new_networks(data, config, streams, heads, teaches=teaches, processes=processes)
    user, agent = cast(RecurrentUserModel, models["user"]), cast(Agent, models["agent"])
    learners = new_learners(models, teaches, config, processes)
    attach([models[name] for name in teaches], data)
    losses: dict[ModelName, Loss] = {
        "user": partial(user_loss, user, config=config),
        "agent": partial(agent_loss, agent, config=config),
    }
    return Lab(
        data=data,
        config=config,
        streams=streams,
        user=user,
        agent=agent,
        discriminator=cast(Discriminator, models["discriminator"]),
        latent=cast(LatentUserModel, models["latent"]),
        linear=cast(ListUserModel, models["linear"]),
        boosting=cast(ListUserModel, models["boosting"]),
        learners=learners,
        fitted={name: Fitted(models[name]) for name in teaches if name in FITTED},
        losses=losses,
        judges={"user": losses["user"], "agent": partial(judge, agent, config=config)},
        journal=Journal(config.checkpoint_minutes, processes),
        agent_loss=agent_loss,
        proposal=new_proposal(data, config) if config.softmax == "sampled" else None,
        processes=processes,
    )


@dataclass(frozen=True)
class _DroppedIds:
    """A loss of batches for which a share of the items is known by its columns alone, as an item never shown is.

    Volkovs, Yu and Poutanen (2017, "DropoutNet: Addressing cold start in recommender systems").
    """

    loss: Loss
    network: Network
    items: int  # n
    share: float
    generator: torch.Generator

    def __call__(self, batch: SessionBatch) -> Tensor:
        """The loss, with ids drawn anew."""
        kept = (torch.rand(self.items + 1, generator=self.generator) >= self.share).float()
        hide_ids(self.network, kept.to(batch.slate.device))
        try:
            return self.loss(batch)
        finally:
            hide_ids(self.network, None)


def with_told_terms(config: TrainingConfig, data: TrainingData) -> TrainingConfig:
    """``config`` without the term of touches, where all terms are asked for and the log tells of none.

    Raises UserError where that term is asked for by name.
    """
    told = data.train.looks is not None or data.train.visits is not None
    if told or "touches" not in config.terms:
        return config
    if set(config.terms) != set(TERMS):
        raise UserError(f"setting terms: found touches; the log has none of the columns {', '.join(TOUCHES)} to read")
    return config.model_copy(update={"terms": tuple(name for name in config.terms if name != "touches")})
