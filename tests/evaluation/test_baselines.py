import torch

from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.evaluation.baselines import Baselines
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import rollout
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
