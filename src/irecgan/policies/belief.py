"""The fair yardstick of a learned policy: it knows the world but sees only its own slates and clicks."""

import torch
from torch import Tensor

from irecgan.models.latent import BeliefState
from irecgan.policies.planning import continued_slates, make_plan, posterior, start_belief
from irecgan.worlds.candidates import CandidateModel
from irecgan.worlds.interface import Scene
from irecgan.worlds.mdp import MDPWorld
from irecgan.worlds.oracle import optimal_value


class _BeliefFilter:
    """Filters the hidden state of a world's sessions by Bayes' rule."""

    def __init__(self, world: MDPWorld) -> None:
        self.world = world
        self.model = CandidateModel.of_world(world)

    def start(self, sessions: int) -> BeliefState:
        """Certainty of the start state."""
        return BeliefState(start_belief(self.model, sessions))

    def advance(self, state: BeliefState, slate: Tensor, click: Tensor) -> BeliefState:
        """The belief after ``click`` (B,) in ``slate`` (B, K)."""
        return BeliefState(posterior(self.model, state.belief, slate, click))


class BeliefPolicy(_BeliefFilter):
    """Filters the hidden state by Bayes' rule and shows the slate that a plan holds best for that belief.

    It never reads the true state. ``value`` is what the plan is proven to earn in a session at least: a
    lower bound on the best history-based policy, as ``optimal_value`` is an upper one. The plan is made
    here, which takes seconds (1 to 6 for 10 states and 50 items); see ``irecgan.policies.planning``.
    """

    def __init__(self, world: MDPWorld, generator: torch.Generator, *, beliefs: int = 256, rounds: int = 4) -> None:
        super().__init__(world)
        self.plan = make_plan(world, generator, beliefs=beliefs, rounds=rounds)
        self.value = float(self.plan.choose(start_belief(self.model, 1))[1])

    def propose(self, state: BeliefState, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The best slates of the plan. (B, K)"""
        return self.plan.slates[self.plan.choose(state.belief)[0]]


class QMDPPolicy(_BeliefFilter):
    """The same, without a plan: the slate that would be best if the state were seen from the next click on.

    Nothing is shown in order to learn, so it earns less than `BeliefPolicy` where history matters (QMDP; Littman,
    Cassandra and Kaelbling, 1995, "Learning policies for partially observable environments").
    """

    def __init__(self, world: MDPWorld) -> None:
        super().__init__(world)
        self.values = optimal_value(world).values  # (m,)

    def propose(self, state: BeliefState, scene: Scene, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """The slates found best. (B, K)"""
        return continued_slates(self.model, self.values, state.belief, self.world.slate_size)
