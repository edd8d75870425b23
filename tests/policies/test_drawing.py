"""Slates drawn without noise on every item have the law of draws one by one without replacement."""

import itertools
import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from irecgan.models.agent import Agent
from irecgan.models.recurrent import Size, initialise
from irecgan.policies import drawing
from irecgan.policies.drawing import drawn_slate
from irecgan.policies.popularity import Popularity
from irecgan.policies.ranking import RankingPolicy, top_slate
from irecgan.worlds.interface import Scene

COUNT = 20_000
SCORES = {
    "even": [0.0, 1.0, -1.0, 0.5, 0.2],
    "one item has nearly all": [9.0, 0.0, 1.0, 0.5, -0.5],  # 14 draws hold few others: rows are completed
    "one item has none": [0.0, 1.0, -torch.inf, 0.5, 0.2],
}


def law(scores: Tensor, size: int) -> dict[tuple[int, ...], float]:
    """The chance of every ordered slate (Plackett and Luce)."""
    p = scores.double().softmax(0).tolist()
    chances = {}
    for slate in itertools.permutations(range(len(p)), size):
        left, chance = 1.0, 1.0
        for item in slate:
            chance *= p[item] / left if p[item] else 0.0
            left -= p[item]
        chances[slate] = chance
    return chances


@pytest.mark.parametrize("block", [2, 8])
@pytest.mark.parametrize("case", SCORES)
def test_every_ordered_slate_is_as_frequent_as_its_law_says(
    case: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_BLOCK", block)
    scores, size = torch.tensor(SCORES[case]), 3
    drawn = drawn_slate(scores.expand(COUNT, -1), size, torch.Generator().manual_seed(0))
    code = (drawn * torch.tensor([25, 5, 1])).sum(1)
    found = torch.bincount(code, minlength=125)
    chances = law(scores, size)
    assert sum(chances.values()) == pytest.approx(1)
    of_slate = {slate: int(found[25 * slate[0] + 5 * slate[1] + slate[2]]) for slate in chances}
    assert sum(of_slate.values()) == COUNT  # no repeats
    expected = {slate: COUNT * chance for slate, chance in chances.items()}
    assert all(not of_slate[slate] for slate, mean in expected.items() if mean == 0)
    often = [slate for slate, mean in expected.items() if mean >= 5]
    rare = COUNT - sum(of_slate[slate] for slate in often), COUNT - sum(expected[slate] for slate in often)
    pairs = [(of_slate[slate], expected[slate]) for slate in often] + ([rare] if rare[1] > 1e-6 else [])
    seen, means = zip(*pairs, strict=True)
    assert chisquare(seen, means).pvalue > 0.001


def test_the_law_holds_across_a_large_catalogue() -> None:
    """40,000 items in 4 classes of unlike chances, spread over all blocks: the class of the first and third item."""
    scores = torch.arange(40_000).remainder(4).float()
    drawn = drawn_slate(scores.expand(200, -1), 10, torch.Generator().manual_seed(0))
    assert all(len(set(row)) == 10 for row in drawn.tolist())
    share = scores[:4].double().softmax(0).tolist()
    for rank in (0, 2):
        seen = torch.bincount(drawn[:, rank] % 4, minlength=4).tolist()
        assert chisquare(seen, [200 * p for p in share]).pvalue > 0.001
    third = (drawn < 13_333).double().mean()
    assert float(third) == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / drawn.numel()))


def test_rare_items_of_a_million_are_not_rounded_away() -> None:
    """Half the chance is one item's, the other half a million others': as many different ones come as should."""
    scores = torch.zeros(1, 1_000_001)
    scores[0, 500_000] = math.log(1_000_000)
    others = torch.cat([drawn_slate(scores, 2, torch.Generator().manual_seed(seed)) for seed in range(20)]).flatten()
    others = others[others != 500_000]
    assert len(others.unique()) == len(others)
    assert float(others.double().mean()) == pytest.approx(5e5, abs=4 * 1e6 / math.sqrt(12 * len(others)))


def policy_of(*, sampled: bool) -> RankingPolicy:  # type: ignore[type-arg]
    agent = Agent(Size(30, embedding=4, units=5, layers=1, output="tied"))
    initialise(agent, torch.Generator().manual_seed(0))
    return RankingPolicy(agent.requires_grad_(requires_grad=False), 3, sampled=sampled)


def test_large_catalogues_are_ranked_some_sessions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = policy_of(sampled=False)
    state = policy.advance(policy.start(7), torch.empty(0), torch.arange(7))
    whole = policy.propose(state, Scene(), torch.Generator())
    monkeypatch.setattr("irecgan.policies.ranking.LARGE", 20)
    monkeypatch.setattr("irecgan.policies.ranking._CELLS", 70)  # two sessions at a time
    assert torch.equal(policy.propose(state, Scene(), torch.Generator()), whole)
    slates = policy_of(sampled=True).propose(state, Scene(), torch.Generator().manual_seed(0))
    assert slates.shape == (7, 3)
    assert all(len(set(row)) == 3 for row in slates.tolist())


def test_lists_are_ordered_without_scores_of_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = policy_of(sampled=False)
    state = policy.advance(policy.start(2), torch.empty(0), torch.tensor([4, 9]))
    candidates = torch.tensor([[3, 29, 0, 30], [1, 2, 30, 30]])
    scores = torch.nn.functional.pad(policy.ranker.scores(state), (0, 1), value=-torch.inf).gather(1, candidates)
    expected = candidates.gather(1, scores.argsort(dim=1, descending=True, stable=True))
    monkeypatch.setattr("irecgan.models.outputs._DENSE", 0)
    monkeypatch.setattr("irecgan.models.outputs.ItemScores.all", lambda _: pytest.fail("scored everything"))
    assert torch.equal(policy.propose(state, Scene(candidates=candidates), torch.Generator()), expected)


@pytest.mark.parametrize("size", [1, 4, 50])
def test_the_top_slate_is_that_of_a_stable_sort(size: int) -> None:
    scores = torch.randint(6, (20, 50), generator=torch.Generator().manual_seed(0)).float()
    scores[3:6] = torch.rand(3, 50)  # without equal ones
    scores[7] = -torch.inf
    expected = scores.argsort(dim=1, descending=True, stable=True)[:, :size]
    assert torch.equal(top_slate(scores, size), expected)


def test_a_world_is_shown_what_a_run_recommends_where_items_are_equal() -> None:
    counts = torch.tensor([[3.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0]]).expand(2, 8)
    policy = RankingPolicy(Popularity(counts), 4)
    shown = policy.propose(policy.start(5), Scene(), torch.Generator())
    assert shown.tolist() == [[3, 0, 1, 2]] * 5
