from dataclasses import replace

import polars as pl
import pytest
import torch
from torch import Tensor, nn

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.features import Code
from irecgan.data.fitting import fit
from irecgan.data.sparse import PaddedRows, SparseRows
from irecgan.models.agent import Agent
from irecgan.models.content import FeatureEmbedding, Inputs, ItemContent, ItemFeatures, hide_ids
from irecgan.models.discriminator import Discriminator
from irecgan.models.networks import FITTED, NETWORKS, ModelName, Network, blank_network, grown
from irecgan.models.outputs import Output
from irecgan.models.recurrent import Size, initialise
from irecgan.models.rewards import RewardLaw
from irecgan.models.user import RecurrentUserModel
from irecgan.training.likelihood import blockwise, plain

ITEMS = pl.DataFrame({"price": [1.0, 2.0, 3.0, 4.0, None, 2.0], "kind": ["a", "a", "b", "b", "a", "b"]})
STEPS = pl.DataFrame({"device": ["tv", "phone", "tv", "phone", "tv", "tv"], "hour": [1, 2, 3, 4, 5, 6]})
SIZE = Size(items=6, embedding=4, units=5, layers=1)

READERS = [name for name in NETWORKS if name not in FITTED]
"""The networks that can read columns."""


def code(frame: pl.DataFrame) -> Code:
    return fit(lambda: iter([frame]), None, "frame", besides=(), own_missing=True)


@pytest.fixture
def inputs() -> Inputs:
    items = code(ITEMS)
    return Inputs(ItemFeatures(items, items.encode(ITEMS, "items")), code(STEPS))


def network(name: ModelName, inputs: Inputs, size: Size = SIZE) -> Network:
    made = blank_network(name, size, "history", RewardLaw(), ["behaviour"], inputs=inputs)
    initialise(made, torch.Generator().manual_seed(1))
    return made.double()


def sessions(inputs: Inputs) -> Sessions:
    """Two sessions of 4 and 2 steps over 6 items, each step with its context."""
    assert inputs.context is not None
    item = torch.tensor([0, 1, 2, 3, 4, 5, 0, 2, 4, 1, 3, 5])
    click = torch.tensor([1, 2, 5, 6, 2, 6])
    position = torch.tensor([1, 0, 1, -1, 1, -1])
    return Sessions(
        step_start=torch.tensor([0, 4, 6]),
        item_start=torch.arange(7) * 2,
        item=torch.tensor([0, 1, 2, 3, 4, 5, 1, 4, 0, 2, 3, 5]),
        click=click,
        position=position,
        reward=torch.zeros(6),
        propensity=torch.full((6,), torch.nan),
        score=torch.ones(6),
        catalogue_size=len(item) // 2,
        context=inputs.context.encode(STEPS, "steps"),
    )


def test_rows_are_weighted_sums_and_the_unknown_row_is_the_average() -> None:
    found = code(ITEMS)  # price, price missing, a, b
    embedding = FeatureEmbedding(found, 2)
    embedding.weight = nn.Parameter(torch.tensor([[1.0, 0], [0, 10], [100, 0], [0, 1000]]))
    rows = SparseRows(torch.tensor([0, 2, 3]), torch.tensor([0, 3, 4]), torch.tensor([0.5, 1, 1]))
    average = torch.tensor([0, 10 / 6])  # of price: a sixth of the items has none
    torch.testing.assert_close(embedding.ragged(rows), torch.stack([torch.tensor([0.5, 1000]), average]))
    torch.testing.assert_close(embedding.unknown(), average + torch.tensor([50.0, 500]))
    torch.testing.assert_close(embedding(rows.padded(torch.tensor([[1, 0]]))), embedding.ragged(rows)[[1, 0]][None])


def test_every_way_to_the_vectors_of_items_agrees(inputs: Inputs) -> None:
    assert inputs.items is not None
    content = ItemContent(inputs.items, 3)
    nn.init.normal_(content.features.weight)
    every = content.all()
    assert torch.equal(every[6], torch.zeros(3))
    some = torch.tensor([[6, 2], [2, 0]])
    torch.testing.assert_close(content(some), every[some])
    for item in range(6):
        entries = inputs.items.rows.select(torch.tensor([item]))
        by_hand = sum(
            (w * (content.features.weight[f] if f < 4 else content.features.averages[f - 4] @ content.features.weight))
            for f, w in zip(entries.feature.tolist(), entries.weight.tolist(), strict=True)
        )
        torch.testing.assert_close(every[item], by_hand)


@pytest.mark.parametrize("output", ["untied", "tied"])
@pytest.mark.parametrize("hidden", [False, True])
def test_every_way_to_the_scores_of_items_agrees(output: Output, hidden: bool, inputs: Inputs) -> None:
    agent = network("agent", inputs, replace(SIZE, output=output))
    assert isinstance(agent, Agent)
    if hidden:
        hide_ids(agent, torch.tensor([1.0, 0, 1, 0, 0, 1, 1]))
    scores = agent.item_scores(agent.states(sessions(inputs).batch(torch.arange(2))))
    every = scores.all()
    items = torch.tensor([[0, 5, 3], [1, 1, 2]]).repeat(3, 1)
    torch.testing.assert_close(scores.at(items), every.gather(1, items))
    torch.testing.assert_close(scores.of(torch.tensor([4, 1])), every[:, [4, 1]])
    query, table, bias = scores.factors()
    torch.testing.assert_close(nn.functional.linear(query, table[:6], bias), every)
    click = torch.tensor([1, 6, 2, 0, 5, 6])
    known = click < 6
    torch.testing.assert_close(blockwise(scores, click)[known], plain(scores, click)[known])


@pytest.mark.parametrize("name", READERS)
def test_company_and_padding_change_nothing(name: ModelName, inputs: Inputs) -> None:
    model = network(name, inputs)
    all_of_them = sessions(inputs)
    both = answers(model, all_of_them.batch(torch.arange(2)))
    alone = [answers(model, all_of_them.batch(torch.tensor([row]))) for row in range(2)]
    torch.testing.assert_close(both, torch.cat(alone), rtol=0, atol=1e-12)


def answers(model: Network, batch: SessionBatch) -> Tensor:
    found = model(batch)
    return found.outcome if isinstance(model, RecurrentUserModel) else found  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["user", "agent"])
def test_steps_alone_go_through_the_states_of_whole_sessions(name: ModelName, inputs: Inputs) -> None:
    model, batch = network(name, inputs), sessions(inputs).batch(torch.arange(2))
    assert isinstance(model, RecurrentUserModel | Agent)
    assert batch.context is not None
    context = [PaddedRows(batch.context.feature[:, t], batch.context.weight[:, t].double()) for t in range(2)]
    if isinstance(model, RecurrentUserModel):
        top = model.advance(model.start(2, context[0]), batch.slate[:, 0], batch.click[:, 0], context[1]).top
    else:
        top = model.advance(model.start(2, context[0]), batch.click[:, 0], context[1]).top
    torch.testing.assert_close(top, model.encoder(batch.click, batch.context)[:, 1])


def test_a_context_that_is_not_given_is_the_average(inputs: Inputs) -> None:
    agent, batch = network("agent", inputs), sessions(inputs).batch(torch.arange(2))
    assert isinstance(agent, Agent)
    assert inputs.context is not None
    average = inputs.context.average(1).padded(torch.zeros(2, 4, dtype=torch.int64))
    without = agent(replace(batch, context=None))
    torch.testing.assert_close(agent(replace(batch, context=average)), without)
    assert not torch.allclose(agent(batch), without)


def test_a_hidden_id_counts_for_nothing(inputs: Inputs) -> None:
    """Whatever is learned of the id of item 2, networks that do not see it score alike."""
    agent = network("agent", inputs)
    assert isinstance(agent, Agent)
    batch = sessions(inputs).batch(torch.arange(2))
    hide_ids(agent, torch.tensor([1.0, 1, 0, 1, 1, 1, 1]))
    before = agent(batch)
    with torch.no_grad():
        agent.encoder.embedding.weight[2] += 1
        agent.output.weight[2] += 1  # type: ignore[index, operator]
        agent.output.bias[2] += 1
    torch.testing.assert_close(agent(batch), before)
    hide_ids(agent, None)
    assert not torch.allclose(agent(batch), before)


@pytest.mark.parametrize("output", ["untied", "tied"])
@pytest.mark.parametrize("name", READERS)
def test_a_grown_network_says_the_same_of_its_old_items(name: ModelName, output: Output, inputs: Inputs) -> None:
    assert inputs.items is not None
    size, small = (
        replace(SIZE, output=output),
        ItemFeatures(inputs.items.code, inputs.items.rows.select(torch.arange(4))),
    )
    model = network(name, Inputs(small, inputs.context), replace(size, items=4))
    larger = grown(name, model.float(), size, "history", RewardLaw(), inputs=inputs)
    batch = sessions(inputs).batch(torch.tensor([1]))  # items 0, 2, 3 and 5
    old = replace(batch, slate=batch.slate[:, :1], shown=batch.shown[:, :1], catalogue_size=4)
    fields = ("click", "position", "reward", "propensity", "score", "real")
    old = replace(old, **{field: getattr(old, field)[:, :1] for field in fields})
    assert old.context is not None
    old = replace(old, context=PaddedRows(old.context.feature[:, :1], old.context.weight[:, :1]))
    new = replace(old, catalogue_size=6)
    before, after = answers(model, old), answers(larger, new)
    torch.testing.assert_close(after[:, :4] if name == "agent" else after, before)
    if name == "agent":  # items 0 to 5 of the same columns have the same scores, but for their ids
        assert isinstance(larger, Agent)
        assert larger.item_scores(larger.states(new)).table[4:6].abs().max() == 0


def test_discriminators_see_the_columns_of_what_is_shown(inputs: Inputs) -> None:
    judge, batch = network("discriminator", inputs), sessions(inputs).batch(torch.arange(2))
    assert isinstance(judge, Discriminator)
    assert judge.content is not None
    before = judge(batch)
    with torch.no_grad():
        judge.content.features.weight.add_(1)
    assert not torch.allclose(judge(batch), before)
