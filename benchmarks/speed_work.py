"""What `speed.py` times: each piece of work batched, plainly where there is a plain way, and its operations."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from floor import LEARNING, Operations
from irecgan.data.batch import SessionBatch, Sessions
from irecgan.evaluation.online import play
from irecgan.models.networks import ModelName
from irecgan.models.recurrent import Recurrent
from irecgan.policies.interface import Policy
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import Stage, rollout, scored_rollout
from irecgan.rows import Rows
from irecgan.seeding import Streams
from irecgan.training.lab import Lab
from irecgan.training.phases import Rounds
from irecgan.worlds.interface import Scene
from irecgan.worlds.mdp import MDPWorld
from plain import PlainGenerator

EVALUATED = 20_000  # sessions
SIMULATED = 5_000
COMPLETIONS = 5


@dataclass(frozen=True)
class Work:
    """A piece of work. ``ours`` and ``plain`` give how many steps they did, so that both are compared per step."""

    name: str
    ours: Callable[[], int]
    unit: str  # what the seconds are of
    scale: float = 1.0  # seconds of ``ours`` times this are seconds of the unit
    plain: Callable[[int], int] | None = None  # of a repeat
    operations: float | None = None
    learns: bool = False
    once: bool = False  # timed once, cold: it takes long


class Counted:
    """A policy that counts the slates it shows and the clicks it is told of."""

    def __init__(self, policy: Policy[Any]) -> None:
        self.policy, self.slates, self.clicks = policy, 0, 0

    def start(self, sessions: int) -> Rows:
        """As the policy."""
        return self.policy.start(sessions)  # type: ignore[no-any-return]

    def propose(self, state: Rows, scene: Scene, generator: torch.Generator) -> Tensor:
        """As the policy."""
        self.slates += len(state)
        return self.policy.propose(state, scene, generator)

    def advance(self, state: Rows, slate: Tensor, click: Tensor) -> Rows:
        """As the policy."""
        self.clicks += len(click)
        return self.policy.advance(state, slate, click)  # type: ignore[no-any-return]


def use_layers(networks: Iterable[nn.Module], *, packs: bool) -> None:
    """Have the recurrent layers of ``networks`` be ours, or torch's own."""
    for network in networks:
        for part in network.modules():
            if isinstance(part, Recurrent):
                part.packs = packs


def works(lab: Lab, world: MDPWorld, policy: Policy[Any], sizes: tuple[int, int]) -> list[Work]:
    """All pieces; ``sizes``: sessions generated at once without and with scores."""
    plainly, scored = sizes
    operations = Operations.of(lab.config.size(lab.data.items), lab.slate_size)
    return [
        *(_generation(lab, operations, count, scored=score) for count, score in ((plainly, False), (scored, True))),
        *(_epoch(lab, operations, model) for model in ("user", "agent")),
        _discriminator(lab, operations),
        _round(lab),
        _evaluation(lab, operations, world),
        _simulator(world, policy),
    ]


def _generation(lab: Lab, operations: Operations, sessions: int, *, scored: bool) -> Work:
    def made() -> tuple[SessionBatch, Counted]:
        stage, generator = lab.stage(judged=scored), torch.Generator().manual_seed(2)
        counted = Counted(stage.policy)
        judge = lab.discriminator if scored else None
        stage = Stage(counted, stage.world, stage.max_length, judge, stage.final_slates)
        if scored:
            return scored_rollout(stage, sessions, completions=COMPLETIONS, generator=generator), counted
        batch = rollout(counted, stage.world, sessions, max_length=stage.max_length, generator=generator)
        return batch, counted

    networks = deepcopy((lab.agent, lab.user, lab.discriminator))
    use_layers(networks, packs=False)

    def plain(repeat: int) -> int:
        length = lab.stage(judged=False).max_length
        reference = PlainGenerator(*networks, lab.slate_size, length)
        generator = torch.Generator().manual_seed(repeat)
        if scored:
            reference.scored(COMPLETIONS, generator)
            return reference.steps
        for _ in range(10):
            reference.session(generator)
        return reference.steps

    batch, counted = made()
    prefixes = int(batch.real.sum()) - sessions if scored else 0
    advances = counted.slates - sessions - prefixes * COMPLETIONS
    total = 2 * operations.encoder * advances + (operations.agent + operations.user) * counted.slates
    if scored:
        total += operations.judge * counted.clicks + operations.verdict * (sessions + prefixes * COMPLETIONS)
    name = "generation with scores" if scored else "generation"
    return Work(name, lambda: made()[1].slates, "1,000 sessions", 1_000 / sessions, plain, total)


def _epoch(lab: Lab, operations: Operations, model: ModelName) -> Work:
    train, learner, loss = lab.data.train, lab.learners[model], lab.losses[model]
    steps = int(train.steps.sum())
    head = operations.agent if model == "agent" else operations.user

    def epoch() -> int:
        learner.epoch(loss, train, lab.config.batch_size, torch.Generator().manual_seed(3))
        return steps

    total = LEARNING * steps * (operations.encoder + head)
    name = f"epoch of {model[0].upper()}"
    return Work(name, epoch, "1,000 sessions", 1_000 / len(train), operations=total, learns=True)


def _discriminator(lab: Lab, operations: Operations) -> Work:
    train = lab.data.train
    made = Sessions.from_batch(lab.generate(len(train), torch.Generator().manual_seed(2), scored=False))
    clicks = sum(int((part.position >= 0).sum()) for part in (train, made))

    def epoch() -> int:
        lab.discriminator_epoch(made, torch.Generator().manual_seed(3))
        return clicks

    total = LEARNING * (clicks * operations.judge + 2 * len(train) * operations.verdict)
    return Work("epoch of D", epoch, "1,000 and 1,000 sessions", 1_000 / len(train), operations=total, learns=True)


def _round(lab: Lab) -> Work:
    def one() -> int:
        Rounds(scored=True, keeps=("agent",)).unit(lab, 0)
        return 1

    return Work("adversarial round", one, f"{len(lab.data.train)} logged sessions", once=True)


def _evaluation(lab: Lab, operations: Operations, world: MDPWorld) -> Work:
    policy, agent = RankingPolicy(lab.agent, world.slate_size), deepcopy(lab.agent)
    use_layers([agent], packs=False)

    def ours() -> Counted:
        counted = Counted(policy)
        play(counted, world, EVALUATED, Streams(0))
        return counted

    def plain(repeat: int) -> int:
        counted = Counted(RankingPolicy(agent, world.slate_size))
        for session in range(20):
            play(counted, world, 1, Streams(20 * repeat + session))
        return counted.slates

    counted = ours()
    total = operations.encoder * (counted.slates - EVALUATED) + operations.agent * counted.slates
    return Work("evaluation", lambda: ours().slates, "20,000 sessions", plain=plain, operations=total)


def _simulator(world: MDPWorld, policy: Policy[Any]) -> Work:
    def simulate(sessions: int, seed: int) -> int:
        batch = rollout(policy, world, sessions, max_length=1_000, generator=torch.Generator().manual_seed(seed))
        return int(batch.real.sum())

    def plain(repeat: int) -> int:
        return sum(simulate(1, 100 * repeat + session) for session in range(100))

    scale = 1_000_000 / simulate(SIMULATED, 4)
    return Work("simulator", lambda: simulate(SIMULATED, 4), "1,000,000 steps", scale, plain)
