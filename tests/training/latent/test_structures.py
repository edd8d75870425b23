import pytest
import torch

from irecgan.data.batch import NOTHING, Sessions
from irecgan.policies.logging import logging_policies
from irecgan.policies.witness import Witness
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.training.latent.expectation import expect, kind_log_chances
from irecgan.training.latent.fit import clearly_likelier, fitted
from irecgan.training.latent.kinds import find_kinds
from irecgan.training.latent.structures import find_structures, shown_share, tells_states_by_lists
from irecgan.training.latent.trajectories import Trajectories
from irecgan.worlds.mdp import MDPWorld, draw_world
from latent_users import sessions_of


def world_of(law: str = "dirichlet:0.02", states: int = 4, items: int = 24, slate_size: int = 4) -> MDPWorld:
    return draw_world(law, states=states, items=items, slate_size=slate_size, seed=2)


def played(world: MDPWorld, policy: str, sessions: int) -> tuple[Sessions, torch.Tensor]:
    witness = Witness(logging_policies(world)[policy])
    batch = rollout(witness, world, sessions, max_length=100, generator=Streams(0).torch("log"))
    return Sessions.from_batch(batch), witness.hidden(*batch.real.shape)[batch.real]


def found_states(world: MDPWorld, policy: str, sessions: int = 600) -> tuple[Trajectories, torch.Tensor, torch.Tensor]:
    """The steps, their most likely states, and the true ones."""
    logged, hidden = played(world, policy, sessions)
    steps = Trajectories.of(logged)
    structure = find_structures(steps, Streams(0).torch("kinds"), ends_logged=True)[0]
    tables = fitted(structure, steps, Streams(0).torch("fit"), ends_logged=True)
    state = expect(tables, steps, kind_log_chances(tables, steps)).state.argmax(1)
    order = logged.steps.argsort(descending=True, stable=True)
    begin = logged.step_start[order]
    step = torch.cat([begin[:count] + t for t, count in enumerate(steps.alive)])
    return steps, state, hidden[step]


@pytest.mark.parametrize("policy", ["max", "mix"])
def test_the_states_of_a_world_are_found_again(policy: str) -> None:
    world = world_of()
    _, state, true = found_states(world, policy)
    table = torch.zeros(int(state.max()) + 1, world.state_count).index_put(
        (state, true), torch.ones(len(state)), accumulate=True
    )
    assert len(table) == world.state_count
    assert float(table.max(1).values.sum() / table.sum()) > 0.99


def test_attractiveness_and_moves_are_close_to_the_truth() -> None:
    world = world_of()
    logged, _ = played(world, "max", 2_000)
    steps = Trajectories.of(logged)
    structure = find_structures(steps, Streams(0).torch("kinds"), ends_logged=True)[0]
    tables = fitted(structure, steps, Streams(0).torch("fit"), ends_logged=True)
    first = int(tables.start.argmax())
    best = world.ranking[world.start_state, :4]
    assert tables.survival[first, best].tolist() == pytest.approx(
        world.reward[world.start_state, best].tolist(), abs=0.12
    )
    stay = tables.transition[best, first, first]
    assert stay.tolist() == pytest.approx(
        world.transition[world.start_state, best, world.start_state].tolist(), abs=0.12
    )


def test_random_slates_are_of_one_kind() -> None:
    logged, _ = played(world_of(), "random", 800)
    steps = Trajectories.of(logged)
    assert len(find_kinds(steps, Streams(0).torch("kinds"))) == 1
    assert [s.states for s in find_structures(steps, Streams(0).torch("kinds"), ends_logged=True)][:2] == [1, 2]


def test_lists_that_hardly_repeat_make_no_state_each() -> None:
    """30 sessions, each shown a list of its own three times: of 68 slates that are learned from, each kind has four."""
    lists = torch.arange(30 * 4).split(4)
    sessions = [[(own.tolist(), int(own[0])), (own.tolist(), int(own[1])), (own.tolist(), NOTHING)] for own in lists]
    steps = Trajectories.of(sessions_of(sessions, 120))
    generator = Streams(0).torch("kinds")
    assert 1 < len(find_kinds(steps, generator)) <= 17
    assert max(s.states for s in find_structures(steps, generator, ends_logged=True)) <= 17


def test_the_same_seed_finds_the_same_model() -> None:
    logged, _ = played(world_of(), "mix", 200)
    steps = Trajectories.of(logged)

    def once() -> torch.Tensor:
        structure = find_structures(steps, Streams(3).torch("kinds"), ends_logged=True)[0]
        return fitted(structure, steps, Streams(3).torch("fit"), ends_logged=True).transition

    assert torch.equal(once(), once())


@pytest.mark.parametrize("policy", ["max", "mix"])
def test_states_without_history_are_told_by_their_lists(policy: str) -> None:
    """Moves that foretell nothing favour few states; held-out slates and clicks favour those of the lists."""
    world = world_of("softmax", states=5, items=40, slate_size=8)
    logged, _ = played(world, policy, 800)
    steps = Trajectories.of(logged)
    structures = find_structures(steps, Streams(0).torch("kinds"), ends_logged=True)
    structures += [structure.finer for structure in structures if structure.finer is not None]
    assert {structure.states for structure in structures} >= {1, 5}
    for structure in structures:
        tables = fitted(structure, steps, Streams(0).torch("fit"), ends_logged=True)
        assert tells_states_by_lists(tables) == (structure.states == 5)


@pytest.mark.parametrize(("policy", "share"), [("max", 8 / 40), ("mix", 20 / 40)])
def test_how_much_of_the_catalogue_a_state_shows(policy: str, share: float) -> None:
    """The best 8, and by mix 12 of middling reward besides."""
    logged, _ = played(world_of("softmax", states=5, items=40, slate_size=8), policy, 800)
    steps = Trajectories.of(logged)
    structure = find_structures(steps, Streams(0).torch("kinds"), ends_logged=True)[0]
    tables = fitted(structure.finer or structure, steps, Streams(0).torch("fit"), ends_logged=True)
    assert shown_share(tables) == pytest.approx(share, abs=0.02)


def test_random_slates_are_of_one_list() -> None:
    logged, _ = played(world_of("softmax"), "random", 300)
    steps = Trajectories.of(logged)
    structures = find_structures(steps, Streams(0).torch("kinds"), ends_logged=True)
    tables = fitted(structures[1], steps, Streams(0).torch("fit"), ends_logged=True)
    assert not tells_states_by_lists(tables)  # all states show it


def test_a_model_is_clearly_likelier_beyond_its_standard_error() -> None:
    logged, _ = played(world_of(), "max", 600)
    steps = Trajectories.of(logged)
    structures = find_structures(steps, Streams(0).torch("kinds"), ends_logged=True)
    many, one = (fitted(each, steps, Streams(0).torch("fit"), ends_logged=True) for each in structures[:2])
    assert (many.states, one.states) == (4, 1)
    assert clearly_likelier(many, one, steps)
    assert not clearly_likelier(one, many, steps)
    assert not clearly_likelier(many, many, steps)


def test_sums_by_session_are_those_of_its_steps() -> None:
    logged, _ = played(world_of(), "max", 30)
    steps = Trajectories.of(logged)
    ones = torch.ones(len(steps), dtype=torch.float64)
    assert steps.by_session(ones).tolist() == logged.steps.sort(descending=True).values.tolist()
