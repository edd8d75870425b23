"""One cell of table 1: a split of a log, one way to order its lists, and how well that does."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.features import Code
from irecgan.data.filters import SessionLength, apply_filters
from irecgan.data.location import find_prepared, prepared_shares
from irecgan.data.log import SessionLog
from irecgan.data.sources.canonical import read_log
from irecgan.data.splits import SHARES, Shares, split_log
from irecgan.evaluation.baselines import Baselines
from irecgan.evaluation.first_list import first_list
from irecgan.evaluation.offline import rerank
from irecgan.evaluation.references import shop_orders
from irecgan.evaluation.shop import play_in_shop
from irecgan.experiments.frame.study import Json
from irecgan.experiments.frame.training import trained
from irecgan.experiments.table1.per_session import per_session
from irecgan.experiments.table1.settings import NAIVE, SHOP, Table1Cell, Table1Settings, locations
from irecgan.policies.interface import Policy, Scorer
from irecgan.policies.presented import PresentedOrder
from irecgan.policies.ranking import RankingPolicy
from irecgan.policies.translated import Translated
from irecgan.seeding import Streams
from irecgan.simulation import LONGEST, simulated_log
from irecgan.worlds.shop import ShopWorld
from irecgan.worlds.shop_calibration import draw_shop


@dataclass(frozen=True)
class _Ways:
    """Ways to order lists, by model."""

    scorers: Mapping[str, Scorer]
    orders: Mapping[str, Policy[Any]]  # of the lists of the shop; none on a log that is given
    costs: Json = field(default_factory=dict)
    context: Code | None = None  # what they read of a step besides its list


def work(settings: Table1Settings, cell: Table1Cell, scratch: Path) -> Json:
    """Results by model: ``rerank`` on the test part and, in the shop, ``worth`` in the true world; of models that learn
    the ``seconds`` of a processor that they took.

    The log, its split and the sessions played depend on the cell's log, split and seed alone: rows of one
    seed are paired. On a log that is given, ``sessions`` tells what was measured in each.
    """
    streams = Streams(cell.seed).child("table1")
    world, log, shares = _source(settings, cell, streams)
    parts = split_log(log, cell.split, streams, shares)
    catalogue = Catalogue.from_log(parts["train"])
    if cell.row == NAIVE:
        ways = _naive(parts["train"], catalogue, world, streams)
    else:
        ways = _learned(settings, cell, parts, world, scratch)
    # Lists without a click are measured too.
    test = encode(parts["test"], catalogue, context=ways.context, final_slates=True)
    results: Json = {name: dict(ways.costs) for name in {**ways.scorers, **ways.orders}}
    for name, scorer in ways.scorers.items():
        found = rerank(
            scorer,
            test,
            min_candidates=settings.min_candidates,
            generator=streams.numpy("bootstrap"),
            name=cell.log,
        )
        results[name]["rerank"] = found.to_json()
        if world is None:
            beginnings = first_list(scorer, test, min_candidates=settings.min_candidates)
            results[name]["sessions"] = per_session(parts["test"], [found.totals, beginnings])
    if world is not None:
        play = partial(play_in_shop, world=world, sessions=settings.shop.evaluation_sessions, streams=streams)
        for name, order in ways.orders.items():
            value = play(order)
            purchases, clicks = value.cumulative_reward.to_json(), value.clicks.to_json()
            results[name]["worth"] = {"purchases": purchases, "clicks": clicks, "cut": value.cut}
    return results


def _source(
    settings: Table1Settings, cell: Table1Cell, streams: Streams
) -> tuple[ShopWorld | None, SessionLog, Shares]:
    """The whole log of a cell, the world it came from where that is known, and the shares of its parts."""
    if cell.log != SHOP:
        directory = locations(settings)[cell.log]
        return None, _whole(directory, cell.log, streams), prepared_shares(directory)
    world = draw_shop(settings.shop.items, seed=cell.seed)
    log = simulated_log(
        PresentedOrder(), world, settings.shop.sessions, max_length=LONGEST, streams=streams.child("log"), name=SHOP
    )
    frame, _ = apply_filters(log.frame, [SessionLength(2, 40)])
    return world, SessionLog.from_frame(frame, SHOP), SHARES


def _whole(directory: Path, name: str, streams: Streams) -> SessionLog:
    """All parts of a prepared log, to be split anew."""
    prepared = find_prepared(directory)
    if prepared is None:
        raise ValueError(f"{directory}: not a prepared log")
    whole = read_log(prepared.files, streams)
    return SessionLog.from_frame(whole.frame, name)


def _naive(train: SessionLog, catalogue: Catalogue, world: ShopWorld | None, streams: Streams) -> _Ways:
    """The naive orders and, in the shop, those of reference."""
    baselines = Baselines.of(encode(train, catalogue))
    scorers = baselines.scorers(streams.torch("random"))
    orders = {} if world is None else shop_orders(world) | _translated(baselines, catalogue, world)
    return _Ways(scorers, orders)


def _learned(
    settings: Table1Settings,
    cell: Table1Cell,
    parts: Mapping[str, SessionLog],
    world: ShopWorld | None,
    scratch: Path,
) -> _Ways:
    """The cell's recipe, trained, and the processor seconds that it took."""
    begin = time.process_time()
    policy = trained(
        parts["train"],
        cell.row,
        scratch,
        seed=cell.seed,
        preset=settings.preset,
        changes=settings.training,
        validation=parts["validation"],
    )
    costs = {"seconds": time.process_time() - begin}
    orders = {cell.row: policy.in_world(world.catalogue_size)} if world is not None else {}
    return _Ways({cell.row: policy.score_slates}, orders, costs, policy.context)


def _translated(baselines: Baselines, catalogue: Catalogue, world: ShopWorld) -> dict[str, Policy[Any]]:
    """The naive rankings as policies of the world."""
    return {
        name: Translated.from_catalogue(RankingPolicy(ranker, len(catalogue)), catalogue, world.catalogue_size)
        for name, ranker in baselines.rankers().items()
    }
