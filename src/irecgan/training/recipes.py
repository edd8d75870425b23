"""The recipes, as rows of one table: the models of the paper's tables, and those beyond."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from irecgan.errors import UserError
from irecgan.models.agent import Head
from irecgan.models.content import Inputs
from irecgan.models.networks import FITTED, Deployed, ModelName
from irecgan.policies.latent import LatentPolicy, LatentRanker
from irecgan.runs.manifest import Decision
from irecgan.seeding import Streams
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.distillation import Distil
from irecgan.training.gates import Gate, Noted
from irecgan.training.lab import Lab
from irecgan.training.latent.fit import FitLatent, PlanLatent
from irecgan.training.lists.phases import FitBoosting, FitLinear
from irecgan.training.losses import (
    AgentLoss,
    actor_critic,
    next_click,
    off_policy_gradient,
    policy_gradient,
    weight_metrics,
    whole_slate,
)
from irecgan.training.phases import Fit, FitDiscriminator, Phase, Rounds, Sharpen
from irecgan.training.slate_information import slate_information


@dataclass(frozen=True)
class Recipe:
    """A way to learn a policy: phases in order, the agent's objective, and the model that is deployed."""

    name: str
    summary: str
    deploys: Deployed
    phases: Sequence[Phase]
    agent_loss: AgentLoss = policy_gradient
    heads: Sequence[Head] = ()  # of the agent, for its objective
    judge: AgentLoss = policy_gradient  # the loss on held-out sessions by which the agent is stopped
    gate: Gate | None = None  # what the log must show first
    settings: Mapping[str, Any] = field(default_factory=dict)  # its own defaults, where they are not the paper's
    chooses: bool = False  # among other recipes: `irecgan.training.choice.auto`
    stops_on_exploitation: bool = True  # of U, unless told otherwise; the paper's rounds have no such end

    @property
    def teaches(self) -> tuple[ModelName, ...]:
        """The models that learn in any of its phases."""
        return tuple(dict.fromkeys(name for phase in self.phases for name in phase.teaches))

    @property
    def by_one(self) -> bool:
        """Whether something of it is fitted, by one process and on the CPU."""
        return self.chooses or bool(set(FITTED) & set(self.teaches))

    def reading(self, inputs: Inputs) -> Inputs:
        """What of ``inputs`` its networks learn to read."""
        return Inputs(inputs.items if self._reads_items else None, inputs.context if self._reads_context else None)

    def unread(self, config: TrainingConfig) -> list[str]:
        """The settings of columns that ``config`` has and it does not read; those who choose hand them on."""
        reads = {"item_features": self._reads_items, "context_features": self._reads_context}
        return [key for key, read in reads.items() if getattr(config, key) is not None and not (read or self.chooses)]

    @property
    def _reads_items(self) -> bool:
        return not set(self.teaches) <= set(FITTED)

    @property
    def _reads_context(self) -> bool:
        """Whether logged steps are learned from: those of a planner have no context."""
        return any({"user", "agent"} & set(phase.teaches) for phase in self.phases if not isinstance(phase, Distil))


SLATES_INFORM = Gate("check-slates", slate_information, otherwise="pg")
"""Learning from whole slates needs slates that were chosen by what was known of the user."""


def planner(lab: Lab) -> LatentPolicy:
    """The plan for the users of the latent model."""
    return LatentPolicy(LatentRanker(lab.latent), lab.slate_size)


_TABLE = (
    Recipe("lstm", "the user model alone, on the log; ranks by click score", "user", (Fit("user"),)),
    Recipe(
        "terms",
        "the user model with terms for what users see and remember of a list; for reranking",
        "user",
        (Fit("user"), Sharpen()),
        settings={"terms": "all", "layers": 1, "units": 128, "user_learning_rate": 1e-3, "user_dropout": 0.3},
    ),
    Recipe(
        "linear",
        "those terms alone, without a network: a conditional logit on what is seen of a list",
        "linear",
        (FitLinear(),),
        settings={"terms": "all"},
    ),
    Recipe(
        "boosting",
        "gradient-boosted trees on what is seen of a list",
        "boosting",
        (FitBoosting(),),
        settings={"terms": "all"},
    ),
    Recipe(
        "lstmd",
        "the user model of irecgan, trained adversarially; ranks by click score",
        "user",
        (Fit("user"), Fit("agent"), FitDiscriminator(), Rounds(scored=True, keeps=("user",))),
        stops_on_exploitation=False,
    ),
    Recipe(
        "gru4rec",
        "the agent's network as a supervised session recommender: the likelihood of the next click",
        "agent",
        (Fit("agent"),),
        next_click,
        judge=next_click,
    ),
    Recipe("pg", "the agent alone, by policy gradient on the log", "agent", (Fit("agent"),)),
    Recipe(
        "pgis",
        "the agent alone, by policy gradient with importance weights",
        "agent",
        (Fit("agent", diagnose=weight_metrics),),
        off_policy_gradient,
        ("behaviour",),
    ),
    Recipe("ac", "the agent alone, by actor-critic on the log", "agent", (Fit("agent"),), actor_critic, ("value",)),
    Recipe(
        "slate",
        "the agent alone, with credit for the whole logged slate; pg where slates tell nothing",
        "agent",
        (Fit("agent"),),
        whole_slate,
        judge=whole_slate,
        gate=SLATES_INFORM,
    ),
    Recipe(
        "pgu",
        "the agent on logged and generated sessions, without a discriminator",
        "agent",
        (Fit("user"), Fit("agent"), Rounds(scored=False, keeps=("agent",))),
        stops_on_exploitation=False,
    ),
    Recipe(
        "acu",
        "pgu by actor-critic",
        "agent",
        (Fit("user"), Fit("agent"), Rounds(scored=False, keeps=("agent",))),
        actor_critic,
        ("value",),
        stops_on_exploitation=False,
    ),
    Recipe(
        "irecgan",
        "the whole method: agent and user model on logged and generated sessions, scored by D",
        "agent",
        (Fit("user"), Fit("agent"), FitDiscriminator(), Rounds(scored=True, keeps=("agent",))),
        stops_on_exploitation=False,
    ),
    Recipe(
        "latent",
        "users with a hidden state, of which slates and clicks are evidence; plans slates on what the clicks tell",
        "latent",
        (FitLatent(), PlanLatent()),
    ),
    Recipe(
        "latent-distilled",
        "the slates of latent, learned by the agent: serves as fast as any other",
        "agent",
        (FitLatent(), PlanLatent(), Distil(planner, attrgetter("latent"))),
        settings=PRESETS["gru"],
    ),
    Recipe("count", "nothing but the clicks in the log, weighted by what followed them", "popularity", ()),
    Recipe(
        "auto",
        "whichever of several recipes is worth most to users that it did not learn from; says which and why",
        "popularity",
        (),
        chooses=True,
    ),
)

RECIPES = {recipe.name: recipe for recipe in _TABLE}

COMPARED = ("lstm", "lstmd", "gru4rec", "pg", "pgis", "ac", "pgu", "acu", "irecgan")
"""The eight models of the paper's tables and, beside them, a session recommender."""


def find_recipe(name: str) -> Recipe:
    """The recipe called ``name``; UserError lists the names there are."""
    if name not in RECIPES:
        raise UserError(f"recipe {name!r}: no such recipe; expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def admitted(recipe: Recipe, data: TrainingData, streams: Streams) -> tuple[Recipe, Decision | None]:
    """What learns from ``data`` in the name of ``recipe``, and why: itself, or the one its gate names."""
    if recipe.gate is None:
        return recipe, None
    finding = recipe.gate.ask(data, streams)
    chosen = recipe if finding.passed else find_recipe(recipe.gate.otherwise)
    phases = (Noted(recipe.gate.name, finding.metrics), *chosen.phases)
    decision = Decision(learned=chosen.name, reason=finding.text, figures=dict(finding.metrics))
    return replace(chosen, phases=phases), decision
