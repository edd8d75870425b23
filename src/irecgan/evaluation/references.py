"""Who stands beside the learned policies of a simulated world: exact ceilings and policies of reference."""

import logging
from collections.abc import Iterator
from typing import Any

from irecgan.evaluation.baselines import Baselines
from irecgan.evaluation.online import OnlineResult, known, play
from irecgan.policies.belief import BeliefPolicy, QMDPPolicy
from irecgan.policies.interface import Policy
from irecgan.policies.logging import MaxPolicy, MixPolicy, RandomPolicy, logging_policies
from irecgan.policies.presented import AppealOrder, presented_orders
from irecgan.policies.static import StaticPolicy
from irecgan.runs.trained import TrainedPolicy
from irecgan.seeding import Streams
from irecgan.worlds.mdp import MDPWorld
from irecgan.worlds.oracle import optimal_value
from irecgan.worlds.shop import ShopWorld
from irecgan.worlds.shown import as_shown
from irecgan.worlds.static import best_static_slate

REFERENCE_NAMES = frozenset(
    {"oracle", "max", "belief", "static", "mix", "random", "logged_order", "popularity", "last_first", "co_click"}
)
"""What the policies beside the learned ones are called, on logs and in worlds."""

_PLANNED_ITEMS = 200  # planning on beliefs takes seconds up to here, and minutes beyond


def references(
    world: MDPWorld, run: TrainedPolicy, baselines: Baselines, sessions: int, streams: Streams
) -> Iterator[tuple[str, OnlineResult]]:
    """Results of the policies of reference, best informed first, and of the ``baselines`` from the log of ``run``."""
    yield from world_references(world, sessions, streams)
    for name, ranker in baselines.rankers().items():
        policy = run.in_world(world.catalogue_size, slate_size=world.slate_size, ranker=ranker)
        yield name, play(policy, world, sessions, streams)


def world_references(world: MDPWorld, sessions: int, streams: Streams) -> Iterator[tuple[str, OnlineResult]]:
    """Results of the policies that know the world, or nothing at all; best informed first.

    ``oracle`` (observes the state; the highest value there is) and ``max`` are exact. ``belief`` knows the
    world but sees only clicks: a lower bound on the best that a policy like the learned ones can reach.
    """
    yield "oracle", known(world, optimal_value(world).slates)
    yield "max", known(world, MaxPolicy(world).slates)
    for name, policy in _policies(world, streams):
        yield name, play(policy, world, sessions, streams)


def lesser_ceilings(world: MDPWorld, sessions: int, streams: Streams) -> Iterator[tuple[str, OnlineResult]]:
    """What is earned by who knows less than ``belief``, or plans less; takes up to a minute.

    ``qmdp`` plans no further than the next click. ``shown by mix`` and ``shown by max`` know exactly what the logs of
    these policies show of each state, and of items that are never shown in it their mean: no ceilings, as another
    belief about those may earn more. Without results where planning takes too long.
    """
    if world.catalogue_size <= _PLANNED_ITEMS:
        yield "qmdp", play(QMDPPolicy(world), world, sessions, streams)
        for name in ("mix", "max"):
            known = as_shown(world, logging_policies(world)[name].inclusion(world) > 0)
            policy = BeliefPolicy(known, streams.torch("belief", "shown", name))
            yield f"shown by {name}", play(policy, world, sessions, streams)


def shop_references(world: ShopWorld, run: TrainedPolicy, baselines: Baselines) -> dict[str, Policy[Any]]:
    """The policies of reference of a shop, and the ``baselines`` from the log of ``run``."""
    rankers = baselines.rankers().items()
    return shop_orders(world) | {name: run.in_world(world.catalogue_size, ranker=ranker) for name, ranker in rankers}


def shop_orders(world: ShopWorld) -> dict[str, Policy[Any]]:
    """Who may order the lists of a shop without having learned anything.

    ``oracle`` observes the taste and has the best order of every single list; ``logged_order`` is the shop's own.
    """
    orders = presented_orders(world.catalogue_size)
    return {"oracle": AppealOrder(world), "logged_order": orders["logged"], "random": orders["random"]}


def _policies(world: MDPWorld, streams: Streams) -> Iterator[tuple[str, Policy[Any]]]:
    items, size = world.catalogue_size, world.slate_size
    if items <= _PLANNED_ITEMS:
        yield "belief", BeliefPolicy(world, streams.torch("belief"))
    else:
        logging.getLogger("irecgan").warning("belief: left out, the world has more than %d items", _PLANNED_ITEMS)
    static = best_static_slate(world)
    yield "static", StaticPolicy(static.first, later=static.later)
    yield "mix", MixPolicy(world)
    yield "random", RandomPolicy(items, size)
