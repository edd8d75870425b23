"""What figure 3 varies, its methods, and its cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from irecgan.experiments.frame.study import Cell, Distinct, Preset, Seeds, Settings
from irecgan.training.config import Positive
from irecgan.training.losses import AgentLoss, next_click, policy_gradient
from irecgan.training.phases import Fit, FitDiscriminator, Phase, Rounds


@dataclass(frozen=True)
class Method:
    """A way to act and to learn: a row of the figure.

    ``acts``: the model whose ranking is shown, ``count`` being return-weighted clicks; ``sampled``: slates are
    drawn by Eq. (4), else the top k are shown. ``online``: the agent learns from each round's new sessions.
    ``first``: phases of the first offline stage alone, one unit each; ``offline``: phases of every offline
    stage. ``agent_loss``: the objective of the agent, Eq. (10) unless it is another.
    """

    name: str
    acts: Literal["agent", "user", "count"]
    sampled: bool
    online: bool
    offline: Sequence[Phase] = ()
    first: Sequence[Phase] = ()
    agent_loss: AgentLoss = policy_gradient


_TABLE = (
    Method(
        "IRecGAN",
        "agent",
        sampled=True,
        online=True,
        first=(Fit("user"), FitDiscriminator()),
        offline=(Fit("user"), Rounds(scored=True, keeps=("agent",))),
    ),
    Method("PG-online", "agent", sampled=True, online=True),
    Method("PG-online&offline", "agent", sampled=True, online=True, offline=(Fit("agent"),)),
    Method("LSTM-offline", "user", sampled=False, online=False, offline=(Fit("user"),)),
    Method("LSTM-offline, sampled", "user", sampled=True, online=False, offline=(Fit("user"),)),
    Method(
        "GRU4Rec-offline, sampled", "agent", sampled=True, online=False, offline=(Fit("agent"),), agent_loss=next_click
    ),
    Method("count", "count", sampled=False, online=False),
)

METHODS = {method.name: method for method in _TABLE}


class Figure3Settings(Settings):
    """The paper's section 7.1, online learning: rounds of interaction, each followed by an offline stage."""

    laws: Distinct[str] = ("softmax",)
    rounds: Positive = 20
    sessions: Annotated[int, Field(ge=2)] = 200  # of interaction in a round
    offline_epochs: Positive = 2  # of the agent, over all sessions so far
    seeds: Seeds = 5
    evaluation_sessions: Positive = 4_000  # played after every round with top-k slates, by nobody learnt from
    preset: Preset = "small"


class Figure3Cell(Cell):
    """One method in one world."""

    law: str
    seed: int
    method: str


PRESETS = {
    "quick": Figure3Settings(),
    "paper": Figure3Settings(laws=("softmax", "dirichlet:0.02"), seeds=10, evaluation_sessions=20_000, preset="paper"),
}


def cells(settings: Figure3Settings) -> list[Figure3Cell]:
    """All cells; the slowest method first."""
    return [
        Figure3Cell(law=law, seed=seed, method=method)
        for method in METHODS
        for law in settings.laws
        for seed in range(settings.seeds)
    ]
