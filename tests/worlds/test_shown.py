import torch

from irecgan.policies.logging import logging_policies
from irecgan.worlds.mdp import draw_world
from irecgan.worlds.shown import as_shown


def test_what_is_never_shown_is_like_its_mean() -> None:
    world = draw_world("dirichlet:0.3", states=3, items=20, slate_size=4, seed=0)
    shown = logging_policies(world)["max"].inclusion(world) > 0  # (m, n)
    known = as_shown(world, shown)
    assert shown.sum(1).tolist() == [4, 4, 4]
    assert torch.equal(known.reward[shown], world.reward[shown])
    assert torch.equal(known.transition[shown], world.transition[shown])
    for state in range(3):
        hidden = ~shown[state]
        torch.testing.assert_close(known.reward[state, hidden], world.reward[state, hidden].mean().expand(16))
        moves = world.transition[state, shown[state]].mean(0)
        torch.testing.assert_close(known.transition[state, hidden], moves.expand(16, 3))


def test_a_log_that_shows_everything_shows_the_world() -> None:
    world = draw_world("softmax", states=3, items=20, slate_size=4, seed=0)
    known = as_shown(world, torch.ones(3, 20, dtype=torch.bool))
    assert torch.equal(known.reward, world.reward)
    assert torch.equal(known.transition, world.transition)
