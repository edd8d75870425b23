"""What a log shows of a world."""

import torch

from irecgan.policies.logging import logging_policies
from irecgan.worlds.mdp import draw_world
from irecgan.worlds.shown import as_shown


def test_items_never_shown_in_a_state_are_like_their_mean_there() -> None:
    world = draw_world("dirichlet:0.1", states=3, items=20, slate_size=4, seed=2)
    best = as_shown(world, logging_policies(world)["max"].inclusion(world) > 0)
    for state in range(3):
        order = world.ranking[state]
        shown, rest = order[:4], order[4:]
        torch.testing.assert_close(best.reward[state, shown], world.reward[state, shown])
        torch.testing.assert_close(best.transition[state, shown], world.transition[state, shown])
        torch.testing.assert_close(best.reward[state, rest], world.reward[state, rest].mean().expand(16))
        moves = world.transition[state, shown].mean(0)
        torch.testing.assert_close(best.transition[state, rest], moves.expand(16, 3))


def test_a_log_that_shows_everything_shows_the_world() -> None:
    world = draw_world("softmax", states=3, items=20, slate_size=4, seed=0)
    known = as_shown(world, logging_policies(world)["random"].inclusion(world) > 0)
    torch.testing.assert_close(known.reward, world.reward)
    torch.testing.assert_close(known.transition, world.transition)
