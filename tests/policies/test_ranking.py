import torch

from irecgan.policies.begun import Begun
from irecgan.policies.popularity import Popularity
from irecgan.policies.ranking import RankingPolicy
from irecgan.policies.translated import Translated
from irecgan.seeding import Streams
from irecgan.worlds.interface import Scene

COUNTS = torch.tensor([[0.1, 0.5, 0.3], [0.5, 0.1, 0.1]])  # at first, later
BEGUN = Begun(torch.tensor([False, True]))


def test_candidates_are_ordered_by_score_with_ties_as_given() -> None:
    policy = RankingPolicy(Popularity(COUNTS), slate_size=1)
    candidates = torch.tensor([[0, 1, 2, 3], [2, 1, 0, 3]])  # n = 3
    slate = policy.propose(BEGUN, Scene(candidates=candidates), torch.Generator())
    assert slate.tolist() == [[1, 2, 0, 3], [0, 2, 1, 3]]


def test_sampled_orders_begin_by_the_softmax_of_the_candidates() -> None:
    policy, count = RankingPolicy(Popularity(4 * COUNTS), slate_size=1, sampled=True), 20_000
    candidates = torch.tensor([[2, 0, 3, 3]]).expand(count, -1)
    slate = policy.propose(policy.start(count), Scene(candidates=candidates), Streams(0).torch("x"))
    expected = torch.softmax(torch.tensor([1.2, 0.4]), 0)[0]
    assert abs(float((slate[:, 0] == 2).float().mean() - expected)) < 4 * 0.5 / count**0.5
    assert (slate[:, 2:] == 3).all()


def test_candidates_that_are_not_known_come_last_in_the_order_given() -> None:
    policy = Translated(RankingPolicy(Popularity(COUNTS), slate_size=1), torch.tensor([7, 3, 5]), items=8)
    candidates = torch.tensor([[0, 5, 1, 7, 3, 8, 8], [6, 2, 4, 1, 0, 8, 8]])  # 8: nothing
    slate = policy.propose(BEGUN, Scene(candidates=candidates), torch.Generator())
    assert slate.tolist() == [[3, 5, 7, 0, 1, 8, 8], [6, 2, 4, 1, 0, 8, 8]]
    assert policy.advance(BEGUN, slate, torch.tensor([0, 7])).begun.all()
