"""Tied outputs, sampled softmaxes and updates by rows: the same learning, in less time and memory."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import irecgan
from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.errors import UserError
from irecgan.models.agent import Agent, Head
from irecgan.models.discriminator import Discriminator
from irecgan.models.outputs import learn_by_rows
from irecgan.models.recurrent import Size, initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.runs.trained import load_policy
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.learner import Learner
from irecgan.training.likelihood import Sampled, plain
from irecgan.training.losses import (
    AgentLoss,
    actor_critic,
    next_click,
    off_policy_gradient,
    policy_gradient,
    user_loss,
)
from irecgan.training.negatives import Proposal
from small_logs import TINY, small_log

ITEMS = 8
LOSSES: tuple[AgentLoss, ...] = (policy_gradient, off_policy_gradient, actor_critic, next_click)
HEADS: tuple[Head, ...] = ("behaviour", "value")
LARGE = {**PRESETS["large"], **TINY, "negatives": 4}
CLICKS = torch.tensor([9, 0, 4, 1, 1, 6, 0, 2])


@pytest.fixture
def batch() -> SessionBatch:
    log = small_log(30)
    made = encode(log, Catalogue.from_log(log)).batch(torch.arange(30))
    assert made.catalogue_size == ITEMS
    real = {name: getattr(made, name).double() for name in ("reward", "propensity", "score")}
    return replace(made, **real)


def drawn(network: nn.Module) -> nn.Module:
    initialise(network, torch.Generator().manual_seed(4))
    with torch.no_grad():  # item biases begin at 0, where nothing could be told of them
        for part in network.parameters():
            part.add_(0.3 * torch.randn(part.shape, generator=torch.Generator().manual_seed(5)))
    return network.double()


def agent_of(output: str, items: int = ITEMS) -> Agent:
    agent = Agent(Size(items, embedding=4, units=5, layers=1, output=output), HEADS)  # type: ignore[arg-type]
    drawn(agent)
    with torch.no_grad():
        agent.encoder.embedding.weight[items].zero_()
    return agent


def gradients(agent: Agent, loss: Tensor) -> list[Tensor]:
    """Of all parameters that the loss reaches, dense."""
    agent.zero_grad()
    loss.backward()
    found = [parameter.grad for parameter in agent.parameters() if parameter.grad is not None]
    return [gradient.to_dense() if gradient.is_sparse else gradient for gradient in found]


def config_of(output: str, **settings: object) -> TrainingConfig:
    return TrainingConfig.checked({"output": output, **settings})


@pytest.mark.parametrize("loss", LOSSES)
def test_the_softmax_of_a_tied_output_in_blocks_is_the_plain_one(loss: AgentLoss, batch: SessionBatch) -> None:
    agent, config = agent_of("tied"), config_of("tied")
    blocks, whole = (loss(agent, batch, config, likelihood) for likelihood in (None, plain))
    torch.testing.assert_close(blocks, whole)
    for made, true in zip(gradients(agent, blocks), gradients(agent, whole), strict=True):
        torch.testing.assert_close(made, true)


def test_tied_scores_are_products_of_embeddings(batch: SessionBatch) -> None:
    agent = agent_of("tied")
    output, table = agent.output, agent.encoder.embedding.weight[:-1]
    weight = table @ output.projection.weight  # type: ignore[operator, union-attr]
    states = agent.states(batch)
    by_hand = states @ weight.T + table @ output.projection.bias + output.bias  # type: ignore[operator, union-attr]
    torch.testing.assert_close(agent(batch), by_hand)
    shown = agent.score_slates(batch)
    torch.testing.assert_close(shown, by_hand.gather(1, batch.slate[batch.real].clamp(max=ITEMS - 1)))


@pytest.mark.parametrize("few", [0, 10**6])
@pytest.mark.parametrize("output", ["tied", "untied"])
def test_items_asked_for_score_as_among_all(
    output: str, few: int, batch: SessionBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irecgan.models.outputs._DENSE", few)
    monkeypatch.setattr("irecgan.models.outputs._CELLS", 70)  # some rows at a time
    agent, slate = agent_of(output), batch.slate[batch.real]
    expected = agent(batch).gather(1, slate.clamp(max=ITEMS - 1))
    torch.testing.assert_close(agent.score_slates(batch), expected)
    user = RecurrentUserModel(Size(ITEMS, embedding=4, units=5, layers=1)).double()
    drawn(user)
    state = user.start(3)
    items = torch.tensor([[0, 5], [7, 7], [2, 1]])
    torch.testing.assert_close(user.scores_of(state, items), user.scores(state).gather(1, items))


@pytest.mark.parametrize("output", ["tied", "untied"])
@pytest.mark.parametrize("loss", LOSSES)
def test_with_all_items_as_negatives_nothing_is_lost(loss: AgentLoss, output: str, batch: SessionBatch) -> None:
    agent, config = agent_of(output), config_of(output)
    sampled = Sampled(Proposal(CLICKS, ITEMS), torch.Generator().manual_seed(0))
    found, full = loss(agent, batch, config, sampled), loss(agent, batch, config)
    torch.testing.assert_close(found, full, rtol=1e-6, atol=1e-6)  # expectations are float32
    for made, true in zip(gradients(agent, found), gradients(agent, full), strict=True):
        torch.testing.assert_close(made, true, rtol=1e-5, atol=1e-6)


WIDE = 60


def wide(batch: SessionBatch) -> SessionBatch:
    """The same sessions in a catalogue of WIDE items."""
    slate, click = (torch.where(x == ITEMS, WIDE, x) for x in (batch.slate, batch.click))
    return replace(batch, slate=slate, click=click, catalogue_size=WIDE)


def distance(loss: AgentLoss, batch: SessionBatch, proposal: Proposal, draws: int = 60) -> float:
    """Of the mean gradient over ``draws`` from that of the full softmax, relative to its norm."""
    agent, config = agent_of("tied", WIDE), config_of("tied", weight_cap=1e9)
    sampled = Sampled(proposal, torch.Generator().manual_seed(0))
    exact = torch.cat([g.flatten() for g in gradients(agent, loss(agent, batch, config))])
    mean = torch.zeros_like(exact)
    for _ in range(draws):
        mean += torch.cat([g.flatten() for g in gradients(agent, loss(agent, batch, config, sampled))]) / draws
    return float((mean - exact).norm() / exact.norm())


def proposal_of(size: int) -> Proposal:
    return Proposal(torch.cat([CLICKS, torch.arange(WIDE - ITEMS) % 5]), size)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_against_negatives_is_that_of_the_full_softmax_on_average(
    loss: AgentLoss, batch: SessionBatch
) -> None:
    """What is left is the bias of a ratio of means, which falls as more are drawn: 2 to 4 % at 15 of 60 items."""
    found = distance(loss, wide(batch), proposal_of(15))
    assert found < 0.1


def test_without_the_correction_it_would_not_be(batch: SessionBatch) -> None:
    """The negative control."""
    proposal = proposal_of(5)
    proposal.log_expected = torch.zeros(WIDE)
    assert distance(policy_gradient, wide(batch), proposal) > 0.17


@pytest.mark.parametrize("loss", LOSSES)
def test_neither_padding_nor_unknown_clicks_change_a_loss(loss: AgentLoss, batch: SessionBatch) -> None:
    agent, config, proposal = agent_of("tied"), config_of("tied"), Proposal(CLICKS, 5)

    def of(sessions: SessionBatch) -> Tensor:
        return loss(agent, sessions, config, Sampled(proposal, torch.Generator().manual_seed(0)))

    def pad(tensor: Tensor, value: float, last: int = 0) -> Tensor:
        return nn.functional.pad(tensor, (*(0, 0) * last, 0, 2), value=value)

    padded = SessionBatch(
        slate=pad(batch.slate, ITEMS, 1),
        shown=pad(batch.shown, False, 1),
        click=pad(batch.click, ITEMS),
        position=pad(batch.position, NOTHING),
        reward=pad(batch.reward, 0),
        propensity=pad(batch.propensity, torch.nan),
        score=pad(batch.score, 0),
        real=pad(batch.real, False),
        catalogue_size=ITEMS,
    )
    torch.testing.assert_close(of(padded), of(batch))
    unknown = replace(batch, click=torch.full_like(batch.click, ITEMS))
    if loss is not actor_critic:  # whose value goes on learning
        assert float(of(unknown).detach()) == 0


def test_gradients_by_rows_are_the_gradients(batch: SessionBatch) -> None:
    size = Size(ITEMS, embedding=4, units=5, layers=1, output="tied")
    proposal = Proposal(CLICKS, 5)

    def agent_loss(agent: nn.Module) -> Tensor:
        assert isinstance(agent, Agent)
        sampled = Sampled(proposal, torch.Generator().manual_seed(0))
        return off_policy_gradient(agent, batch, config_of("tied"), sampled)

    def user(model: nn.Module) -> Tensor:
        assert isinstance(model, RecurrentUserModel)
        return user_loss(model, batch, config_of("tied"))

    def judged(judge: nn.Module) -> Tensor:
        return judge(batch).sum()  # type: ignore[no-any-return]

    cases: list[tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]] = [
        (lambda: Agent(size, ["behaviour"]), agent_loss),
        (lambda: RecurrentUserModel(size), user),
        (lambda: Discriminator(size), judged),
    ]
    for make, loss in cases:
        dense, by_rows = drawn(make()), drawn(make())
        tables = {id(table) for table in learn_by_rows(by_rows)}
        for model in (dense, by_rows):
            loss(model).backward()
        for one, other in zip(dense.parameters(), by_rows.parameters(), strict=True):
            assert one.grad is not None
            assert other.grad is not None
            assert other.grad.is_sparse == (id(other) in tables)
            torch.testing.assert_close(other.grad.to_dense(), one.grad)


def test_a_clipped_gradient_by_rows_has_the_norm_asked_for(batch: SessionBatch) -> None:
    agent = agent_of("tied")
    learner = Learner(agent, 1e-3, 0.01, learn_by_rows(agent))
    sampled = Sampled(Proposal(CLICKS, 5), torch.Generator().manual_seed(0))
    learner.step(lambda: policy_gradient(agent, batch, config_of("tied"), sampled))
    left = [parameter.grad.to_dense().flatten() for parameter in agent.parameters() if parameter.grad is not None]
    assert float(torch.cat(left).norm()) == pytest.approx(0.01, rel=1e-3)


def test_sparse_updates_want_a_sampled_softmax() -> None:
    with pytest.raises(UserError, match=r"setting sparse: found 'true'.*softmax=sampled"):
        TrainingConfig.parse(["sparse=true"])
    assert TrainingConfig.parse([], "large").sparse


def test_a_loaded_policy_recommends_what_the_trained_one_did(tmp_path: Path) -> None:
    trained = irecgan.train(small_log(), recipe="pgis", out=tmp_path / "run", settings=LARGE)
    loaded = load_policy(tmp_path / "run")
    assert trained.recommend([1, 2], 5) == loaded.recommend([1, 2], 5)
    assert trained.rerank([1], [3, 2, 99]) == loaded.rerank([1], [3, 2, 99])


def test_held_out_losses_are_of_the_full_softmax(tmp_path: Path) -> None:
    """One epoch at a rate of next to nothing: whatever was drawn, the loss is that of the weights at the start."""
    still = {**TINY, "output": "tied", "agent_epochs": 1, "agent_learning_rate": 1e-30}
    for name, settings in (("full", {}), ("sampled", {"softmax": "sampled", "negatives": 2})):
        irecgan.train(small_log(), recipe="pg", out=tmp_path / name, settings={**still, **settings})
    full, sampled = ((tmp_path / name / "metrics.jsonl").read_text() for name in ("full", "sampled"))
    assert full.split('"agent/validation"')[1] == sampled.split('"agent/validation"')[1]
    assert full.split('"agent/loss"')[1] != sampled.split('"agent/loss"')[1]
