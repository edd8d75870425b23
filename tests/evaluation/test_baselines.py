from pathlib import Path

import pytest
import torch

from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.data.prepare import prepare
from irecgan.evaluation.baselines import Baselines
from irecgan.evaluation.offline import rerank
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from shared_logs import SHARED, shared_data
from small_logs import small_log, small_world


def sessions() -> Sessions:
    return encode(small_log(100), Catalogue.from_log(small_log(100)))


def test_every_ranker_plays_and_every_scorer_scores() -> None:
    train, world = sessions(), small_world()
    baselines = Baselines.of(train)
    assert list(baselines.rankers()) == ["last_first", "popularity", "co_click"]
    for ranker in baselines.rankers().values():
        policy = RankingPolicy(ranker, world.slate_size)
        played = rollout(policy, world, 50, max_length=20, generator=torch.Generator().manual_seed(0))
        assert played.clicked.any()
    batch = train.batch(torch.arange(20))
    scorers = baselines.scorers(torch.Generator().manual_seed(0))
    assert list(scorers) == ["logged_order", "last_first", "popularity", "co_click", "random"]
    for scorer in scorers.values():
        scores = scorer(batch)
        assert scores.shape == batch.slate[batch.real].shape
        assert not scores.isnan().any()


def test_without_co_clicks_the_others_remain() -> None:
    baselines = Baselines(Baselines.of(sessions()).popularity)
    assert list(baselines.rankers()) == ["last_first", "popularity"]


class TestSharedData:
    pytestmark = shared_data

    def test_simple_orders_of_trivago_rio(self, tmp_path: Path) -> None:
        """What a few lines without any of this package find on the same 921 lists."""
        path = SHARED / "trivago_rio" / "interaction_dataset.csv"
        prepare("trivago2019", [path], tmp_path / "out", split="time")
        logs = [SessionLog.read(tmp_path / "out" / f"{part}.parquet") for part in ("train", "test")]
        train, test = (encode(log, Catalogue.from_log(logs[0])) for log in logs)
        scorers = Baselines.of(train).scorers(Streams(0).torch("random"))
        for name, first, tenth in (("logged_order", 0.3105, 0.7264), ("last_first", 0.3952, 0.7796)):
            found = rerank(scorers[name], test, min_candidates=1, generator=Streams(0).numpy("bootstrap"))
            assert found.steps == 921
            assert found.metrics["p@1"].mean == pytest.approx(first, abs=5e-5)
            assert found.metrics["p@10"].mean == pytest.approx(tenth, abs=5e-5)
