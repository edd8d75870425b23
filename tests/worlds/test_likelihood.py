from itertools import product

import pytest
import torch

from irecgan.data.batch import NOTHING, SessionBatch, Sessions
from irecgan.evaluation.prefixes import list_prefixes, whole_sessions
from irecgan.policies.logging import BlendedPolicy, LoggingPolicy, MaxPolicy, MixPolicy, RandomPolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.worlds.likelihood import outcome_chances, session_log_chances
from irecgan.worlds.mdp import MDPWorld, draw_world


def world() -> MDPWorld:
    return draw_world("dirichlet:0.5", states=3, items=3, slate_size=2, seed=3)


def logging_policies() -> dict[str, LoggingPolicy]:
    random, mix = RandomPolicy(3, 2), MixPolicy(world())
    return {"random": random, "max": MaxPolicy(world()), "mix": mix, "soft": BlendedPolicy(random, mix, 0.3)}


def log_chances(batch: SessionBatch, policy: LoggingPolicy) -> torch.Tensor:
    slate = batch.slate[batch.real]
    shown = torch.zeros(*batch.real.shape, 3, dtype=torch.float64)
    shown = shown.masked_scatter(batch.real[..., None], policy.slate_log_chance(world(), slate))
    return session_log_chances(world(), batch, shown)


def key(slates: list[list[int]], positions: list[int]) -> tuple[tuple[int, ...], ...]:
    """A session, so that equal ones are equal whatever they are padded to."""
    return tuple((*slate, place) for slate, place in zip(slates, positions, strict=True))


@pytest.mark.parametrize("name", logging_policies())
def test_listed_sessions_have_the_frequencies_of_simulated_ones(name: str) -> None:
    policy, count = logging_policies()[name], 20_000
    batch = rollout(policy, world(), count, max_length=2, generator=Streams(0).torch("count"))
    lengths = batch.steps.tolist()
    seen: dict[tuple[tuple[int, ...], ...], int] = {}
    for slates, positions, length in zip(batch.slate.tolist(), batch.position.tolist(), lengths, strict=True):
        session = key(slates[:length], positions[:length])
        seen[session] = seen.get(session, 0) + 1
    total = 0.0
    for listed in whole_sessions(list_prefixes(3, 2, 2)):
        chances = log_chances(listed, policy)[:, -1].exp()
        total += float(chances.sum())
        for slates, positions, chance in zip(
            listed.slate.tolist(), listed.position.tolist(), chances.tolist(), strict=True
        ):
            share = seen.get(key(slates, positions), 0) / count
            assert share == pytest.approx(chance, abs=5 * (chance / count) ** 0.5 + 1e-12)
    assert total == pytest.approx(1, abs=1e-12)


def test_hidden_states_are_summed_out() -> None:
    """Against a sum over all paths of hidden states, one session at a time."""
    policy, here = logging_policies()["soft"], world()
    listed = whole_sessions(list_prefixes(3, 2, 2))[-1]
    found = log_chances(listed, policy)[:, -1].exp()
    for row in range(0, len(listed), 5):
        slates, places = listed.slate[row], listed.position[row]
        total = 0.0
        for path in product(range(3), repeat=2):
            chance = 1.0 if path[0] == here.start_state else 0.0
            for t, state in enumerate(path):
                slate, click = slates[t], int(slates[t, places[t]])
                chance *= float(policy.slate_log_chance(here, slate[None]).exp()[0, state])
                chance *= float(here.reward[state, click] ** 2 / here.reward[state, slate].sum())
                if t == 0:
                    chance *= float(here.transition[state, click, path[1]])
            total += chance
        assert float(found[row]) == pytest.approx(total, rel=1e-12)


def test_the_chance_of_a_prefix_is_that_of_what_may_follow() -> None:
    policy = logging_policies()["mix"]
    first, second = list_prefixes(3, 2, 2)
    going = first.position[:, -1] != NOTHING
    before = log_chances(first, policy)[going, -1].exp()
    after = log_chances(second, policy)[:, -1].exp()
    torch.testing.assert_close(after.reshape(len(before), -1).sum(1), before)


def test_padding_and_company_change_no_chance() -> None:
    policy = logging_policies()["random"]
    batch = rollout(policy, world(), 200, max_length=5, generator=Streams(1).torch("sessions"))
    together = log_chances(batch, policy)
    sessions = Sessions.from_batch(batch)
    for row in range(0, 200, 40):
        alone = sessions.batch(torch.tensor([row]))
        torch.testing.assert_close(log_chances(alone, policy)[0], together[row, : int(batch.steps[row])])


def test_a_slate_without_reward_ends_the_session() -> None:
    spec = world().spec.model_copy(update={"reward": [[0.0, 0.0, 0.5]] * 3})
    chances = outcome_chances(MDPWorld(spec), torch.tensor([[0, 1], [1, 2]]))
    torch.testing.assert_close(chances[0], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(3, 3))
    torch.testing.assert_close(chances[1], torch.tensor([0.0, 0.5, 0.5], dtype=torch.float64).expand(3, 3))


@pytest.mark.parametrize("name", logging_policies())
def test_the_chances_of_slates_agree_with_those_of_items(name: str) -> None:
    policy, slates = logging_policies()[name], list_prefixes(3, 2, 1)[0].slate[::3, 0]  # every slate once
    chance = policy.slate_log_chance(world(), slates).exp()  # (S, m)
    torch.testing.assert_close(chance.sum(0), torch.ones(3, dtype=torch.float64))
    inside = (slates[..., None] == torch.arange(3)).any(1).double()  # (S, n)
    torch.testing.assert_close(chance.T @ inside, policy.inclusion(world()))
