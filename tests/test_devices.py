"""Roll-outs and losses make their tensors where their models are, and wait for a device once a step."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.models.agent import Agent
from irecgan.models.discriminator import Discriminator
from irecgan.models.recurrent import Recurrent, Size, initialise
from irecgan.models.terms import TERMS
from irecgan.models.user import Learning, RecurrentUserModel
from irecgan.objectives.adversarial import discriminator_loss
from irecgan.policies import ranking
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import Stage, rollout, scored_rollout
from irecgan.training.config import TrainingConfig
from irecgan.training.information import log_statistics
from irecgan.training.likelihood import blockwise
from irecgan.training.losses import actor_critic, next_click, off_policy_gradient, policy_gradient, user_loss
from irecgan.worlds.learned import LearnedWorld

SIZE = Size(items=40, embedding=4, units=6, layers=2)
WAITING = {"_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "_unique2", "multinomial"}
"""Operations at which the program waits for a GPU; so does indexing by a mask."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=[(), TERMS], ids=["plain", "terms"])
def stage(request: pytest.FixtureRequest) -> Stage:
    user = RecurrentUserModel(replace(SIZE, terms=request.param))
    made = Agent(SIZE, ["behaviour", "value"]), user, Discriminator(SIZE)
    for seed, model in enumerate(made):
        initialise(model, seeded(seed))
    if user.terms is not None:
        user.terms.attach(log_statistics(Sessions.from_batch(logged())))
    return Stage(RankingPolicy(made[0], 3, sampled=True), LearnedWorld(made[1]), 4, made[2])


def logged() -> SessionBatch:
    agent, user = Agent(SIZE), RecurrentUserModel(SIZE)
    initialise(agent, seeded(5))
    initialise(user, seeded(6))
    policy = RankingPolicy(agent, 3, sampled=True)
    return rollout(policy, LearnedWorld(user), 20, max_length=4, generator=seeded(7))


class Watch(TorchDispatchMode):
    """Counts what would wait for a GPU, and what is made without a device: that lands on ``meta``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits: Counter[str] = Counter()
        self.strays: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        masks = [x for x in args[1] if x is not None and x.dtype == torch.bool] if name == "index" else []
        if name in WAITING or masks:
            self.waits[name] += 1
        made = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, torch.Tensor) and leaf.is_meta for leaf in tree_leaves(made)):
            self.strays[name] += 1
        return made


@pytest.fixture(autouse=True)
def _layers_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recurrent, "packs", False)


@pytest.fixture
def watch() -> Iterator[Watch]:
    with torch.device("meta"), Watch() as found:
        yield found


@pytest.mark.parametrize("large", [False, True], ids=["noise", "drawn"])
def test_scored_rollouts_make_all_tensors_on_the_device_of_the_models(
    large: bool, stage: Stage, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    if large:
        monkeypatch.setattr(ranking, "LARGE", 1)
    scored_rollout(stage, 30, completions=2, generator=seeded(3))
    assert not watch.strays


def test_what_is_made_without_a_device_is_found(watch: Watch) -> None:
    """The negative control."""
    torch.arange(3)
    assert watch.strays == {"arange": 1}


def test_losses_make_all_tensors_on_the_device_of_their_models(stage: Stage) -> None:
    made = rollout(stage.policy, stage.world, 20, max_length=4, generator=seeded(3))
    batch = Sessions.from_batch(made).batch(torch.arange(20))
    judge = stage.judge
    assert isinstance(judge, Discriminator)
    found: list[torch.Tensor] = []
    agent, user, config = stage.policy.ranker, stage.world.model, TrainingConfig()  # type: ignore[attr-defined]
    with torch.device("meta"), Watch() as watch:
        for loss in (policy_gradient, off_policy_gradient, actor_critic, next_click):
            found.append(loss(agent, batch, config))
        found.append(policy_gradient(agent, batch, config, blockwise))
        found.append(user_loss(user, batch, config))
        found.append(user_loss(user, batch, config, Learning(0.0, seeded(4))))
        found.append(discriminator_loss(judge(batch), judge(batch)))
        for value in found:
            value.backward()
    assert not watch.strays


def test_a_step_of_a_rollout_waits_only_to_learn_how_many_sessions_go_on(stage: Stage) -> None:
    frontier = stage.start(30, seeded(1))
    with torch.no_grad(), Watch() as watch:
        stage.step(frontier, seeded(2))
    assert not watch.waits


def test_draws_of_clicks_are_those_of_multinomial() -> None:
    chances = torch.rand(500, 11, generator=seeded(1))
    one, other = seeded(2), seeded(2)
    noise = torch.empty_like(chances).exponential_(generator=one)
    assert torch.equal((chances / noise).argmax(1, keepdim=True), torch.multinomial(chances, 1, generator=other))
    assert torch.equal(one.get_state(), other.get_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_rollouts_and_losses_run_on_a_gpu(stage: Stage) -> None:
    for model in (stage.policy.ranker, stage.world.model, stage.judge):  # type: ignore[attr-defined]
        model.cuda()  # type: ignore[union-attr]
    batch = scored_rollout(stage, 30, completions=2, generator=torch.Generator("cuda").manual_seed(3))
    assert batch.score.is_cuda
    policy_gradient(stage.policy.ranker, batch, TrainingConfig()).backward()  # type: ignore[attr-defined]
