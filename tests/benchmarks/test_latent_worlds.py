"""What a log shows of a world, and what stands beside a fit."""

import torch

from irecgan.policies.logging import logging_policies
from irecgan.worlds.mdp import draw_world
from latent import as_shown


def test_items_never_shown_in_a_state_are_like_their_mean_there() -> None:
    world = draw_world("dirichlet:0.1", states=3, items=20, slate_size=4, seed=2)
    policies = logging_policies(world)
    best = as_shown(world, policies["max"])
    for state in range(3):
        order = world.ranking[state]
        shown, rest = order[:4], order[4:]
        torch.testing.assert_close(best.reward[state, shown], world.reward[state, shown])
        torch.testing.assert_close(best.transition[state, shown], world.transition[state, shown])
        torch.testing.assert_close(best.reward[state, rest], world.reward[state, rest].mean().expand(16))
        moves = world.transition[state, shown].mean(0)
        torch.testing.assert_close(best.transition[state, rest], moves.expand(16, 3))
    everything = as_shown(world, policies["random"])
    torch.testing.assert_close(everything.reward, world.reward)
    torch.testing.assert_close(everything.transition, world.transition)
