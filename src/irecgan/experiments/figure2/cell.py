"""One cell of figure 2: a log, one way to make a policy of it, and what it is worth."""

from pathlib import Path

from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.evaluation.baselines import Baselines
from irecgan.evaluation.online import play
from irecgan.evaluation.references import world_references
from irecgan.experiments.figure2.settings import NAIVE, REFERENCES, Figure2Cell, Figure2Settings
from irecgan.experiments.frame.study import Json
from irecgan.experiments.frame.training import trained
from irecgan.policies.logging import logging_policies
from irecgan.policies.ranking import RankingPolicy
from irecgan.policies.translated import Translated
from irecgan.seeding import Streams
from irecgan.simulation import LONGEST, simulated_log
from irecgan.worlds.mdp import MDPWorld, draw_world


def work(settings: Figure2Settings, cell: Figure2Cell, scratch: Path) -> Json:
    """Results by name, each with ``top`` slates and, where the policy learns, with ``sampled`` ones.

    The world, its log and the sessions played depend on the law, the policy that logged, the size and the
    seed alone: rows of one seed are paired.
    """
    world = draw_world(cell.law, seed=cell.seed)
    sessions, streams = settings.evaluation_sessions, Streams(cell.seed).child("figure2")
    if cell.row == REFERENCES:
        return {name: {"top": result.to_json()} for name, result in world_references(world, sessions, streams)}
    log = logged(world, cell)
    if cell.row == NAIVE:
        return _naive(world, log, sessions, streams)
    policy = trained(log, cell.row, scratch, seed=cell.seed, preset=settings.preset)
    played = {
        kind: play(
            policy.in_world(world.catalogue_size, slate_size=world.slate_size, sampled=kind == "sampled"),
            world,
            sessions,
            streams,
        ).to_json()
        for kind in ("top", "sampled")
    }
    return {cell.row: played}


def logged(world: MDPWorld, cell: Figure2Cell) -> SessionLog:
    """The log of the cell."""
    streams = Streams(cell.seed).child("log", cell.log)
    policy = logging_policies(world)[cell.log]
    return simulated_log(policy, world, cell.sessions, max_length=LONGEST, streams=streams, name=cell.log)


def _naive(world: MDPWorld, log: SessionLog, sessions: int, streams: Streams) -> Json:
    catalogue = Catalogue.from_log(log)
    results = {}
    for name, ranker in Baselines.of(encode(log, catalogue)).rankers().items():
        policy = Translated.from_catalogue(RankingPolicy(ranker, world.slate_size), catalogue, world.catalogue_size)
        results[name] = {"top": play(policy, world, sessions, streams).to_json()}
    return results
