"""One cell of ``beyond``: a log, one way to make a policy of it, and what it is worth."""

import time
from pathlib import Path

from irecgan.data.log import SessionLog
from irecgan.evaluation.online import OnlineResult, play
from irecgan.evaluation.references import lesser_ceilings, world_references
from irecgan.experiments.beyond.given import given_worlds, read_given
from irecgan.experiments.beyond.settings import REFERENCES, BeyondCell, BeyondSettings, WorldCell
from irecgan.experiments.frame.study import Json
from irecgan.experiments.frame.training import trained
from irecgan.experiments.table1.cell import work as work_on_lists
from irecgan.experiments.table1.settings import NAIVE
from irecgan.policies.logging import logging_policies
from irecgan.runs.manifest import Manifest
from irecgan.seeding import Streams
from irecgan.simulation import LONGEST, simulated_log
from irecgan.worlds.mdp import MDPWorld, draw_world


def work(settings: BeyondSettings, cell: BeyondCell, scratch: Path) -> Json:
    """What was found, by policy; of a cell on lists as in table 1.

    In a world each policy has its ``value`` and how many of its sessions were ``cut``, and a learned one the
    ``seconds`` of a processor that it took to fit. Of a recipe that decides something there is its ``decision``. The
    world, its log and the sessions played depend on the cell's world, log and seed alone: rows of one seed are paired.
    """
    if isinstance(cell, WorldCell):
        return _in_world(settings, cell, scratch)
    found = work_on_lists(settings.lists, cell, scratch)
    if cell.row != NAIVE:
        found[cell.row] |= _decision(scratch / cell.row)
    return found


def _in_world(settings: BeyondSettings, cell: WorldCell, scratch: Path) -> Json:
    world = _world(settings, cell)
    streams = Streams(cell.seed).child("beyond")
    if cell.row == REFERENCES:
        found = dict(world_references(world, settings.evaluation_sessions, streams))
        found |= lesser_ceilings(world, settings.evaluation_sessions, streams)
        return {name: _worth(result) for name, result in found.items()}
    log, begin = _log(world, cell), time.process_time()
    policy = trained(log, cell.row, scratch, seed=cell.seed, preset=settings.preset)
    seconds = time.process_time() - begin
    here = policy.in_world(world.catalogue_size, slate_size=world.slate_size)
    result = play(here, world, settings.evaluation_sessions, streams)
    return {cell.row: {**_worth(result), "seconds": seconds, **_decision(scratch / cell.row)}}


def _worth(result: OnlineResult) -> Json:
    return {"value": result.cumulative_reward.to_json(), "cut": result.cut}


def _world(settings: BeyondSettings, cell: WorldCell) -> MDPWorld:
    """The world of a cell: the one that is given by this name, or one drawn by the law."""
    given = given_worlds(settings.worlds)
    if cell.law in given:
        return read_given(given[cell.law])
    return draw_world(cell.law, cell.states, cell.items, cell.slate_size, seed=cell.seed)


def _log(world: MDPWorld, cell: WorldCell) -> SessionLog:
    policy, streams = logging_policies(world)[cell.log], Streams(cell.seed).child("log", cell.log)
    return simulated_log(policy, world, cell.sessions, max_length=LONGEST, streams=streams, name=cell.log)


def _decision(run: Path) -> Json:
    decision = Manifest.read(run).decision
    return {} if decision is None else {"decision": decision.model_dump(mode="json")}
