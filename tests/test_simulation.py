import polars as pl
import pytest
import torch

from irecgan.policies.logging import BlendedPolicy, MaxPolicy, MixPolicy, RandomPolicy
from irecgan.policies.static import StaticPolicy
from irecgan.seeding import Streams
from irecgan.simulation import CHUNK, session_frame, simulate
from irecgan.worlds.mdp import draw_world

WORLD = draw_world("softmax", states=3, items=6, slate_size=2, seed=0)


def test_the_rows_of_a_log() -> None:
    (batch,) = simulate(RandomPolicy(6, 2), WORLD, 200, max_length=50, streams=Streams(0))
    frame = session_frame(batch, first_session=1000)
    assert frame.columns == ["session_id", "step", "slate", "click", "reward", "propensity"]
    assert frame["session_id"].unique().sort().to_list() == list(range(1000, 1200))
    ends = frame.filter(pl.col("click").is_null())
    assert len(ends) == 200
    assert ends["propensity"].null_count() == 200
    clicks = frame.filter(pl.col("click").is_not_null())
    assert clicks.select(pl.col("slate").list.contains(pl.col("click")).all()).item()
    assert clicks["propensity"].unique().to_list() == pytest.approx([1 / 3])
    assert (
        frame.with_columns(n=pl.col("step").cum_count().over("session_id"))
        .select((pl.col("n") == pl.col("step") + 1).all())
        .item()
    )


def test_propensities_are_those_of_the_state_at_that_step() -> None:
    (batch,) = simulate(MixPolicy(WORLD), WORLD, 2000, max_length=50, streams=Streams(0))
    first = batch.clicked[:, 0]
    expected = MixPolicy(WORLD).inclusion(WORLD)[0, batch.click[first, 0]].float()
    assert torch.equal(batch.propensity[first, 0], expected)
    assert torch.equal(batch.propensity.isnan(), ~batch.clicked)
    (batch,) = simulate(MaxPolicy(WORLD), WORLD, 100, max_length=50, streams=Streams(0))
    assert (batch.propensity[batch.clicked] == 1).all()


def test_whoever_tells_with_what_chance_it_shows_an_item_has_propensities() -> None:
    blended = BlendedPolicy(RandomPolicy(6, 2), MaxPolicy(WORLD), 0.25)
    (batch,) = simulate(blended, WORLD, 100, max_length=50, streams=Streams(0))
    best = WORLD.ranking[0, :2]
    first = batch.click[batch.clicked[:, 0], 0]
    expected = 0.25 * 2 / 6 + 0.75 * (first[:, None] == best).any(1).float()
    assert batch.propensity[batch.clicked[:, 0], 0].tolist() == pytest.approx(expected.tolist())


def test_other_policies_have_no_propensities() -> None:
    policy = StaticPolicy(torch.tensor([0, 1]))
    (batch,) = simulate(policy, WORLD, 100, max_length=50, streams=Streams(0))
    assert batch.propensity.isnan().all()
    assert "propensity" not in session_frame(batch).columns


def test_longer_logs_begin_like_shorter_ones() -> None:
    policy = RandomPolicy(6, 2)
    long = list(simulate(policy, WORLD, CHUNK + 10, max_length=50, streams=Streams(0)))
    (short,) = simulate(policy, WORLD, CHUNK, max_length=50, streams=Streams(0))
    assert [len(batch) for batch in long] == [CHUNK, 10]
    assert torch.equal(long[0].click, short.click)
    assert session_frame(long[1], CHUNK)["session_id"].min() == CHUNK
