import math
from collections import defaultdict
from dataclasses import replace

import pytest
import torch

from irecgan.data.batch import SessionBatch
from irecgan.evaluation.bias import Encounter, exact_figures, finite_samples, sampled_figures
from irecgan.evaluation.prefixes import list_prefixes, whole_sessions
from irecgan.models.agent import Agent
from irecgan.models.discriminator import Discriminator
from irecgan.models.recurrent import Size, initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.objectives.bias import (
    PrefixLaws,
    decompose,
    estimated_value,
    generation_value,
    optimal_discriminator,
)
from irecgan.policies.logging import BlendedPolicy, LoggingPolicy, MaxPolicy, MixPolicy, RandomPolicy
from irecgan.seeding import Streams
from irecgan.worlds.mdp import MDPWorld, draw_world

ITEMS, SLATE, CLICKS = 3, 2, 2
LAWS = ("policy", "generated", "data")
Prefix = tuple[tuple[int, ...], ...]


@pytest.fixture(scope="module")
def world() -> MDPWorld:
    return draw_world("dirichlet:0.5", states=3, items=ITEMS, slate_size=SLATE, seed=2)


def logging(name: str, world: MDPWorld) -> LoggingPolicy:
    random, mix = RandomPolicy(ITEMS, SLATE), MixPolicy(world)
    policies: dict[str, LoggingPolicy] = {
        "random": random,
        "max": MaxPolicy(world),
        "mix": mix,
        "soft": BlendedPolicy(random, mix, 0.3),
    }
    return policies[name]


def encounter(world: MDPWorld, log: str = "soft") -> Encounter:
    size = Size(ITEMS, embedding=3, units=4, layers=1)
    agent, user, judge = Agent(size).double(), RecurrentUserModel(size).double(), Discriminator(size).double()
    for seed, model in enumerate((agent, user, judge)):
        initialise(model, torch.Generator().manual_seed(seed))
        for parameter in model.parameters():  # far from uniform
            parameter.data.mul_(3)
    return Encounter(agent, user, world, logging(log, world), CLICKS, judge)


def laws_of(met: Encounter, batches: list[SessionBatch], *, rewards: bool = False) -> PrefixLaws:
    found = [met.laws(as_double(batch), rewards=rewards) for batch in batches]
    return PrefixLaws.concat(
        [PrefixLaws(**{name: value[:, -1] for name, value in vars(laws).items()}) for laws in found]
    )


def as_double(batch: SessionBatch) -> SessionBatch:
    return replace(batch, reward=batch.reward.double())


def levels(rewards: tuple[float, ...] = (1.0,)) -> list[SessionBatch]:
    return list_prefixes(ITEMS, SLATE, CLICKS, rewards)


@pytest.mark.parametrize("log", ["random", "soft", "mix", "max"])
@pytest.mark.parametrize("rewards", [False, True])
def test_every_law_is_a_distribution_over_sessions(world: MDPWorld, log: str, rewards: bool) -> None:
    sessions = whole_sessions(levels((0.0, 1.0) if rewards else (1.0,)))
    laws = laws_of(encounter(world, log), sessions, rewards=rewards)
    for name in LAWS:
        assert float(getattr(laws, name).exp().sum()) == pytest.approx(1, abs=1e-9), name


@pytest.mark.parametrize("log", ["random", "soft", "mix", "max"])
def test_the_decomposition_of_equation_12_holds_to_rounding(world: MDPWorld, log: str) -> None:
    """With random and softened logs the paper's four terms are all; mix and max leave slates out."""
    laws = laws_of(encounter(world, log), levels())
    for lambda_1 in (0.2, 0.5):
        found = decompose(laws, lambda_1)
        paper = found.value + found.reward_error + found.data_shift + found.shrinkage
        missing = float(estimated_value(laws, lambda_1) - paper)
        assert missing == pytest.approx(float(found.unlogged), abs=1e-12)
        assert float(found.unplayed) == 0  # the agent shows every slate
        assert (missing < -0.01) == (log in ("mix", "max"))


def test_the_values_agree_with_dynamic_programming(world: MDPWorld) -> None:
    """An agent without preferences is the random policy; each of at most two clicks is earned once."""
    met = encounter(world, "random")
    for parameter in met.agent.output.parameters():
        parameter.data.zero_()
    slates = list_prefixes(ITEMS, SLATE, 1)[0].slate[:: SLATE + 1, 0]
    reward = world.reward[:, slates]  # (m, S, K)
    click = reward**2 / reward.sum(2, keepdim=True) / len(slates)
    rate = torch.zeros_like(world.reward).index_add(1, slates.flatten(), click.flatten(1))  # (m, n)
    value = torch.zeros(3, dtype=torch.float64)
    for _ in range(CLICKS):
        value = (rate * (1 + world.transition @ value)).sum(1)
    figures = exact_figures(replace(met, judge=None, agent=met.agent.float(), user=met.user.float()))
    assert figures["value/data"] == pytest.approx(float(value[0]), rel=1e-6)
    assert figures["value/policy"] == pytest.approx(float(value[0]), rel=1e-5)


def prefix_keys(batch: SessionBatch, steps: int) -> list[Prefix]:
    slates, places, earned = batch.slate.tolist(), batch.position.tolist(), batch.reward.tolist()
    return [
        tuple((*s, p, int(r)) for s, p, r in zip(ss[:steps], ps[:steps], rs[:steps], strict=True))
        for ss, ps, rs in zip(slates, places, earned, strict=True)
    ]


def tree(met: Encounter) -> list[tuple[float, list[tuple[float, float, float]]]]:
    """For every prefix: its P_g, and P_g, P_data and P_data's prefix chance of the sessions that complete it."""
    sessions = whole_sessions(levels((0.0, 1.0)))
    rows: dict[Prefix, list[tuple[float, float, float]]] = defaultdict(list)
    for batch in sessions:
        laws = laws_of(met, [batch], rewards=True)
        for t in range(batch.real.shape[1]):
            before = met.laws(as_double(batch), rewards=True)
            data = before.data[:, t].exp().tolist()
            chances = zip(laws.generated.exp().tolist(), laws.data.exp().tolist(), data, strict=True)
            for key, chance in zip(prefix_keys(batch, t + 1), chances, strict=True):
                rows[key].append(chance)
    return [(sum(generated for generated, _, _ in completions), completions) for completions in rows.values()]


def test_both_sides_of_equation_11_agree(world: MDPWorld) -> None:
    """sum_t E_g[q_D*(tau_0:t)], prefix by prefix with all its completions, and the right-hand side."""
    met = encounter(world)
    sessions = whole_sessions(levels((0.0, 1.0)))
    laws = laws_of(met, sessions, rewards=True)
    steps = torch.cat([torch.full((len(batch),), batch.real.shape[1]) for batch in sessions])
    right = float(generation_value(optimal_discriminator(laws.data, laws.generated), laws.generated, steps))
    left, conditional = 0.0, 0.0
    for chance, completions in tree(met):
        scores = [(g / chance, d / (d + g)) for g, d, _ in completions]
        left += chance * sum(share * score for share, score in scores)
        for g, d, before in completions:
            given = d / before if before > 0 else 0.0
            conditional += g * given / (given + g / chance)
    assert left == pytest.approx(right, rel=1e-9)
    # Read with conditional chances on the right, as the symbols say, it is another number.
    assert abs(conditional - left) > 0.05


def test_completions_are_scored_below_the_prefix_itself(world: MDPWorld) -> None:
    """Eq. (12) has P_data(tau_0:t) where Eq. (6) has completions: x y / (x + y) is concave, so it weighs more."""
    gaps = []
    for chance, completions in tree(encounter(world)):
        data = sum(d for _, d, _ in completions)
        completed = sum(g * d / (d + g) for g, d, _ in completions)
        gaps.append(chance * data / (chance + data) - completed)
    assert min(gaps) > -1e-12
    assert max(gaps) > 1e-4


def test_odds_of_the_optimum_carry_generated_sessions_over_to_the_log(world: MDPWorld) -> None:
    """D* / (1 - D*) = P_data / P_g: what the weights lead to is the value of the logging policy, not of pi."""
    met = encounter(world)
    sessions = whole_sessions(levels((0.0, 1.0)))
    laws = laws_of(met, sessions, rewards=True)
    earned = torch.cat([batch.reward.double().sum(1) for batch in sessions])
    best = optimal_discriminator(laws.data, laws.generated)
    carried = float((laws.generated.exp() * best / (1 - best) * earned).sum())
    value = {name: float((getattr(laws, name).exp() * earned).sum()) for name in LAWS}
    assert carried == pytest.approx(value["data"], rel=1e-9)
    assert abs(carried - value["policy"]) > 0.05


def in_single_precision(met: Encounter) -> Encounter:
    assert met.judge is not None
    return replace(met, agent=met.agent.float(), user=met.user.float(), judge=met.judge.float())


def test_sampled_figures_agree_with_exact_ones(world: MDPWorld) -> None:
    met = in_single_precision(encounter(world))
    exact, sampled = exact_figures(met), sampled_figures(met, 20_000, Streams(0))
    shared = [name for name in exact if name in sampled]
    assert len(shared) >= 30
    for name in shared:
        assert sampled[name] == pytest.approx(exact[name], rel=0.1, abs=0.03), name


def test_finite_samples_spread_as_their_variance_says(world: MDPWorld) -> None:
    met = in_single_precision(encounter(world))
    exact = exact_figures(met)
    found = finite_samples(
        met, sessions=20, repeats=500, completions=2, streams=Streams(1), value_data=exact["value/data"]
    )
    for name in ("plain", "optimal"):
        deviation = 0.5 * math.sqrt(exact[f"variance/{name}"] / 20)
        assert found[name]["sd"] == pytest.approx(deviation, rel=0.15)
    for name in ("plain", "learned", "optimal"):  # completions change the spread, not the mean
        error = 5 * found[name]["sd"] / math.sqrt(500)
        assert found[name]["mean"] == pytest.approx(exact[f"estimate/{name}"], abs=error)


def test_a_log_that_excludes_all_generated_sessions_leaves_nothing_to_weigh() -> None:
    """Slates of 10 of 50 items: mix never logs what an agent shows."""
    big = draw_world("softmax", seed=0)
    size = Size(50, embedding=3, units=4, layers=1)
    agent, user = Agent(size), RecurrentUserModel(size)
    for model in (agent, user):
        initialise(model, torch.Generator().manual_seed(0))
    figures = sampled_figures(Encounter(agent, user, big, MixPolicy(big), 10), 200, Streams(0))
    assert figures["ratio/impossible"] == 1
    assert figures["estimate/optimal"] == pytest.approx(figures["value/data"] / 2)
    assert math.isnan(figures["estimate/optimal_normalised"])
    assert figures["ratio/policy_share"] > 0.01  # the agent's own slates cancel between pi and g


def test_prefixes_are_all_different_and_sessions_are_those_that_are_over() -> None:
    listed = levels((0.0, 1.0))
    assert [len(batch) for batch in listed] == [6 * 5, 24 * 30]
    for batch in listed:
        keys = prefix_keys(batch, batch.real.shape[1])
        assert len(set(keys)) == len(keys)
    whole = whole_sessions(listed)
    assert [len(batch) for batch in whole] == [6, 24 * 6, 24 * 24]
