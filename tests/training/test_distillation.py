"""An agent learns a planner's slates, also after clicks that the planner would not have met."""

from pathlib import Path

import pytest
import torch

import irecgan
from interrupting import interrupted_after
from irecgan.data.batch import SessionBatch, Sessions
from irecgan.evaluation.online import play
from irecgan.models.agent import Agent
from irecgan.models.memory import UserState
from irecgan.models.networks import ModelName
from irecgan.models.recurrent import Size, initialise
from irecgan.objectives.slates import ordered_log_likelihood
from irecgan.policies.belief import BeliefPolicy
from irecgan.policies.ranking import RankingPolicy, UserRanker
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.distillation import Advised, Distil, lessons
from irecgan.training.lab import Lab
from irecgan.training.learner import Learner
from irecgan.training.losses import slate_imitation
from irecgan.training.metrics import read_metrics
from irecgan.training.phases import Fit
from irecgan.training.recipes import RECIPES, Recipe
from irecgan.worlds.mdp import draw_world
from small_logs import TINY, small_log, small_world


def agent_of(items: int, units: int = 8) -> Agent:
    made = Agent(Size(items, embedding=8, units=units, layers=1, cell="gru"))
    initialise(made, torch.Generator().manual_seed(3))
    return made


def everyone(sessions: Sessions) -> SessionBatch:
    return sessions.batch(torch.arange(len(sessions)))


def test_advice_is_what_the_planner_would_have_shown() -> None:
    """Along the agent's own sessions the planner knows the slates and clicks, and no more."""
    world = small_world()
    planner = BeliefPolicy(world, torch.Generator().manual_seed(0), beliefs=20, rounds=1)
    agent = RankingPolicy(agent_of(8), 3)
    advised = Advised(planner, agent, planned=10)
    played = rollout(advised, world, 40, max_length=20, generator=torch.Generator().manual_seed(1))
    taught = advised.advice(played)
    assert torch.equal(taught.click, played.click)
    assert torch.equal(taught.slate[:10], played.slate[:10])
    assert not torch.equal(taught.slate[10:], played.slate[10:])
    for row in (3, 20, 30):
        state = planner.start(1)
        for step in range(int(played.steps[row])):
            slate = planner.plan.slates[planner.plan.choose(state.belief)[0]]
            assert taught.slate[row, step].tolist() == slate[0].tolist()
            if played.clicked[row, step]:
                state = planner.advance(state, played.slate[row, step][None], played.click[row, step][None])


def test_every_step_teaches_alike_whatever_it_earned_and_without_padding() -> None:
    world, agent = small_world(), agent_of(8)
    policy = RankingPolicy(agent, 3)
    taught = everyone(
        lessons(policy, policy, world, 6, share=1.0, max_length=9, generator=torch.Generator().manual_seed(1))
    )
    real = taught.real
    by_step = ordered_log_likelihood(agent(taught), taught.slate[real], taught.shown[real])
    config = TrainingConfig()
    torch.testing.assert_close(slate_imitation(agent, taught, config), -by_step.sum() / 6)


def test_a_distilled_belief_planner_is_worth_nearly_as_much() -> None:
    world = draw_world("dirichlet:0.05", states=3, items=8, slate_size=2, seed=5)
    planner = BeliefPolicy(world, torch.Generator().manual_seed(0), beliefs=50, rounds=2)
    agent, streams = agent_of(8, units=32), Streams(0)
    config, policy = TrainingConfig(), RankingPolicy(agent, 2)
    learner = Learner(agent, 1e-2, 5.0)

    def worth() -> float:
        return play(policy, world, 4_000, streams.child("evaluate")).cumulative_reward.mean

    before, target = worth(), play(planner, world, 4_000, streams.child("evaluate")).cumulative_reward.mean
    for epoch in range(12):
        made = lessons(planner, policy, world, 400, share=0.5, max_length=50, generator=streams.torch("lessons", epoch))
        learner.epoch(lambda batch: slate_imitation(agent, batch, config), made, 32, streams.torch("shuffle", epoch))
    assert before < 0.8 * target
    assert worth() > 0.95 * target


def greedy(lab: Lab) -> RankingPolicy[UserState]:
    return RankingPolicy(UserRanker(lab.user), lab.slate_size)


def trained_bytes(run: Path) -> list[bytes]:
    names: tuple[ModelName, ...] = ("user", "agent")
    return [(run / f"{name}.safetensors").read_bytes() for name in names]


def test_the_phase_learns_and_resumes_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe("greedy", "the ranking of the user model, distilled", "agent", (Fit("user"), Distil(greedy)))
    monkeypatch.setitem(RECIPES, "greedy", recipe)
    settings = {**TINY, "distillation_sessions": 80, "distillation_held_out": 30, "distillation_epochs": 4}
    log = small_log()
    irecgan.train(log, recipe="greedy", out=tmp_path / "whole", settings=settings)
    losses = [line["validation"] for line in read_metrics(tmp_path / "whole") if line["phase"] == "distil"]
    assert float(losses[-1]) < float(losses[0])
    with interrupted_after(5, monkeypatch):
        irecgan.train(log, recipe="greedy", out=tmp_path / "killed", settings=settings)
    irecgan.train(log, recipe="greedy", out=tmp_path / "killed", settings=settings, resume=True)
    assert trained_bytes(tmp_path / "whole") == trained_bytes(tmp_path / "killed")


def test_the_phase_resumes_in_the_middle_of_an_epoch_with_the_negatives_it_would_have_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "greedy", Recipe("greedy", "distilled", "agent", (Fit("user"), Distil(greedy))))
    few = {"distillation_sessions": 80, "distillation_held_out": 10, "distillation_epochs": 2, "user_epochs": 1}
    settings = {**TINY, **few, "softmax": "sampled", "negatives": 4, "batch_size": 20, "checkpoint_minutes": 0}
    log = small_log()
    irecgan.train(log, recipe="greedy", out=tmp_path / "whole", settings=settings)
    with interrupted_after(3 + 1 + 1 + 2, monkeypatch):  # batches of the user model, its unit and its phase; 2 batches
        irecgan.train(log, recipe="greedy", out=tmp_path / "killed", settings=settings)
    irecgan.train(log, recipe="greedy", out=tmp_path / "killed", settings=settings, resume=True)
    assert trained_bytes(tmp_path / "whole") == trained_bytes(tmp_path / "killed")


def test_the_rate_at_which_an_agent_is_distilled_is_not_that_of_its_objective(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "greedy", Recipe("greedy", "distilled", "agent", (Fit("user"), Distil(greedy))))
    few = {**TINY, "distillation_sessions": 20, "distillation_held_out": 10, "distillation_epochs": 1}

    def weights(name: str, **settings: float) -> bytes:
        irecgan.train(small_log(), recipe="greedy", out=tmp_path / name, settings={**few, **settings})
        return (tmp_path / name / "agent.safetensors").read_bytes()

    first = weights("first", agent_learning_rate=1e-3)
    assert weights("second", agent_learning_rate=1e-2) == first
    assert weights("third", distillation_learning_rate=1e-4) != first
