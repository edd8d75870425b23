import torch

from irecgan.policies.logging import MaxPolicy
from irecgan.policies.witness import Witness
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.worlds.mdp import draw_world


def test_it_notes_the_state_of_every_step_and_changes_nothing() -> None:
    world = draw_world("softmax", seed=0)
    policy = MaxPolicy(world)
    witness = Witness(policy)
    plain, seen = (rollout(p, world, 300, max_length=6, generator=Streams(0).torch("x")) for p in (policy, witness))
    assert torch.equal(plain.slate, seen.slate)
    hidden = witness.hidden(300, seen.real.shape[1])
    assert torch.equal(hidden >= 0, seen.real)
    assert torch.equal(policy.slates[hidden[seen.real]], seen.slate[seen.real])


def test_rows_are_copied_and_joined() -> None:
    witness = Witness(MaxPolicy(draw_world("softmax", seed=0)))
    state = witness.start(3)
    both = state.take(torch.tensor([2])).join([state])
    assert both.session.tolist() == [2, 0, 1, 2]
    assert both.inner.sessions == 4
