"""What policies are worth: on a log, or in a simulated world."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from irecgan.data.batch import Sessions
from irecgan.data.columns import CLICK, SLATE
from irecgan.data.encode import encode
from irecgan.data.location import find_prepared
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.evaluation.baselines import Baselines
from irecgan.evaluation.metrics import TIE_RULE
from irecgan.evaluation.offline import METRICS, RerankResult, rerank
from irecgan.evaluation.online import OnlineResult, play, warn_of_cuts
from irecgan.evaluation.references import REFERENCE_NAMES, references, shop_references
from irecgan.evaluation.shop import ShopEvaluation, ShopResult, play_in_shop
from irecgan.policies.interface import Policy, Scorer
from irecgan.runs.trained import TrainedPolicy, load_policy
from irecgan.seeding import Streams
from irecgan.tables import aligned
from irecgan.worlds.loading import load_world
from irecgan.worlds.mdp import MDPWorld
from irecgan.worlds.shop import ShopWorld
from irecgan.worlds.values import refuse_endless

WITHOUT_RANK = " (no rank)"

OFFICIAL_CANDIDATES = 10
"""Items of the shortest lists that the official code measures, its end symbol apart (``utils.py`` line 173 to 190)."""
_MOSTLY = 0.5  # of the items shown that a run does not know, of which a user is told

_RANK_WARNING = (
    "\nA policy that reads the shown order copies the ranker of the log, and logged clicks reward that; its row "
    "without rank says what it knows besides. Neither says what another order would have earned."
)

RunLike = TrainedPolicy | Path | str

_INTERVALS = "95 % intervals by bootstrap over sessions"
_NO_INTERVALS = "one session alone spans no intervals"


@dataclass(frozen=True)
class OfflineEvaluation:
    """Policies on a log."""

    runs: dict[str, RerankResult]
    log: str
    min_candidates: int

    def __getitem__(self, key: str) -> Any:
        """What `to_json` has under ``key``."""
        return self.to_json()[key]

    def to_json(self) -> dict[str, Any]:
        """The object that ``irecgan evaluate --log --json`` prints."""
        runs = {name: result.to_json() for name, result in self.runs.items()}
        return {"runs": runs, "log": self.log, "min_candidates": self.min_candidates, "ties": TIE_RULE}

    def table(self) -> str:
        """A table for a terminal."""
        first = next(iter(self.runs.values()))
        rows = [[name, *(str(result.metrics[key]) for key in METRICS)] for name, result in self.runs.items()]
        return (
            f"{self.log}: {first.steps} steps of {first.sessions} sessions; {first.too_short} clicked steps have fewer "
            f"than {self.min_candidates} candidates and are left out\n"
            + aligned([["policy", "P@1", "P@10", "MRR", "NDCG@10"], *rows], left=True)
            + f"\n{_INTERVALS if first.sessions > 1 else _NO_INTERVALS}; "
            + "logged clicks reward orders like the logged one."
            + (_RANK_WARNING if any(name.endswith(WITHOUT_RANK) for name in self.runs) else "")
        )


@dataclass(frozen=True)
class OnlineEvaluation:
    """Policies in a world. Learned ones show their top k; ``sampled`` has them draw their slates."""

    runs: dict[str, OnlineResult]
    sampled: dict[str, OnlineResult]
    world: str
    sessions: int

    def __getitem__(self, key: str) -> Any:
        """What `to_json` has under ``key``."""
        return self.to_json()[key]

    def to_json(self) -> dict[str, Any]:
        """The object that ``irecgan evaluate --world --json`` prints."""
        runs = {name: result.to_json() for name, result in self.runs.items()}
        for name, result in self.sampled.items():
            runs[name]["sampled"] = result.to_json()
        return {"runs": runs, "world": self.world, "sessions": self.sessions, "slates": "top-k"}

    def table(self) -> str:
        """A table for a terminal, best first."""
        named = {**self.runs, **{f"{name} (sampled)": result for name, result in self.sampled.items()}}
        best = sorted(named.items(), key=lambda pair: -pair[1].cumulative_reward.mean)
        deepest = max(len(result.coverage) for result in named.values())
        depths = sorted({1, min(3, deepest), deepest})
        rows = [
            [name, str(result.cumulative_reward), *(f"{result.coverage[r - 1].mean:.3f}" for r in depths)]
            for name, result in best
        ]
        heads = ["policy", "cumulative reward", *(f"coverage@{r}" for r in depths)]
        return f"{self.world}: {self.sessions} sessions a policy\n" + aligned([heads, *rows], left=True)


def evaluate(
    runs: RunLike | Sequence[RunLike],
    *,
    log: SessionLog | Path | str | None = None,
    world: MDPWorld | ShopWorld | Path | str | None = None,
    baselines: bool = False,
    without_rank: bool = False,
    sessions: int = 20_000,
    min_candidates: int | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> OfflineEvaluation | OnlineEvaluation | ShopEvaluation:
    """Measure policies on a log (offline rerank) or in a world (simulated online test).

    Args:
        runs: run directories or loaded policies.
        log: a session log, its file, or a prepared directory (then its test part).
        world: a simulated world or shop, or its file. Exactly one of ``log`` and ``world`` is given.
        baselines: measure naive orders beside them; in a world also its ceilings and policies of reference. A run
            with the name of one of these goes by its path as given, or else by its place among the runs.
        without_rank: on a log, also measure policies that read the shown order as if they made the order.
        sessions: to play in a world, by each policy.
        min_candidates: on a log, steps with fewer items are left out. By default those with fewer than 10, as in the
            official code; where no list has so many, none but lists of one, and a warning says so.
        seed: of bootstrap, random orders and played sessions.
        device: ``cpu``, ``cuda`` or ``auto``, where run directories compute; worlds stay on the CPU.

    Raises:
        UserError: a run, log or world is not what it should be, an option is out of range, or there is no such device.

    """
    if (log is None) == (world is None):
        raise UserError("evaluate: expected either --log or --world")
    if world is not None and without_rank:
        raise UserError("--without-rank: expected with --log; in a world no shown order is read")
    for option, value in (("--sessions", sessions), ("--min-candidates", min_candidates)):
        if value is not None and value < 1:
            raise UserError(f"{option}: found {value}, expected at least 1")
    given = [runs] if isinstance(runs, TrainedPolicy | Path | str) else runs
    policies = _named(given, device, REFERENCE_NAMES if baselines else frozenset())
    if log is not None:
        lists = _log(log)
        return _offline(
            policies,
            lists,
            Streams(seed),
            baselines=baselines,
            without_rank=without_rank,
            min_candidates=_usual(lists) if min_candidates is None else min_candidates,
        )
    assert world is not None
    return _in_world(policies, world, baselines, sessions, Streams(seed))


def _named(runs: Sequence[RunLike], device: str, taken: Collection[str]) -> dict[str, TrainedPolicy]:
    """Policies by name; by path as given, or by name and place, where another has the name or it is ``taken``."""
    if not runs:
        raise UserError("RUN: found none, expected at least one run")
    loaded = [run if isinstance(run, TrainedPolicy) else load_policy(run, device) for run in runs]
    names = [policy.name for policy in loaded]
    named: dict[str, TrainedPolicy] = {}
    for place, (run, policy) in enumerate(zip(runs, loaded, strict=True), start=1):
        name = policy.name
        if name in taken or names.count(name) > 1:
            name = f"{name} (run {place})" if isinstance(run, TrainedPolicy) else str(run)
        if name in taken or name in named:
            name = f"{name} (run {place})"
        named[name] = policy
    return named


def _log(log: SessionLog | Path | str) -> SessionLog:
    if isinstance(log, SessionLog):
        return log
    prepared = find_prepared(Path(log))
    return SessionLog.read(prepared.test if prepared else log)


def _usual(log: SessionLog) -> int:
    """The fewest items of a list that counts, where nobody says how many."""
    longest = log.frame.filter(pl.col(CLICK).is_not_null())[SLATE].list.len().max()
    if isinstance(longest, int) and longest >= OFFICIAL_CANDIDATES:
        return OFFICIAL_CANDIDATES
    logging.getLogger("irecgan").warning(
        "%s: no clicked list has %d items or more, as the official rule asks; all of 2 or more are ranked",
        log.name,
        OFFICIAL_CANDIDATES,
    )
    return 2


def _offline(
    policies: dict[str, TrainedPolicy],
    log: SessionLog,
    streams: Streams,
    *,
    baselines: bool,
    without_rank: bool,
    min_candidates: int,
) -> OfflineEvaluation:
    groups = [(p.catalogue, p.context, _scorers(name, p, without_rank)) for name, p in policies.items()]
    if baselines:
        first = next(iter(policies.values()))
        groups.append((first.catalogue, None, _baselines(first).scorers(streams.torch("random"))))
    results: dict[str, RerankResult] = {}
    for catalogue, context, scorers in tqdm(groups, desc="rerank", disable=None, leave=False):
        sessions = encode(log, catalogue, context=context, warns=not results)  # what is left out is the same for all
        if (run := next(iter(scorers))) in policies:
            _tell_unknown(run, sessions, log.name)
            policies[run].warn_of_untold(log)
        for name, scorer in scorers.items():
            results[name] = rerank(
                scorer,
                sessions,
                min_candidates=min_candidates,
                generator=streams.numpy("bootstrap"),  # the same resamples for all: results are paired
                name=log.name,
            )
    return OfflineEvaluation(results, log.name, min_candidates)


def _tell_unknown(run: str, sessions: Sessions, log: str) -> None:
    """Warn where most of what is shown are items that ``run`` does not know."""
    share = int((sessions.item == sessions.catalogue_size).sum()) / max(1, len(sessions.item))
    if share > _MOSTLY:
        logging.getLogger("irecgan").warning(
            "%s: %.0f %% of the items shown are unknown to run %s", log, 100 * share, run
        )


def _scorers(name: str, policy: TrainedPolicy, without_rank: bool) -> dict[str, Scorer]:
    """A policy and, where that is asked for and differs, the same without what it reads of the shown order."""
    scorers: dict[str, Scorer] = {name: policy.score_slates}
    if without_rank and policy.reads_order:
        scorers[f"{name}{WITHOUT_RANK}"] = partial(policy.score_slates, ranked=False)
    return scorers


def _baselines(run: TrainedPolicy) -> Baselines:
    """Those of the log that ``run`` was trained on, with a warning for what an older run lacks."""
    if run.co_clicks is None:
        logging.getLogger("irecgan").warning("co_click: left out, run %s was written without its counts", run.name)
    return Baselines(run.popularity, run.co_clicks)


def _in_world(
    policies: dict[str, TrainedPolicy],
    world: MDPWorld | ShopWorld | Path | str,
    baselines: bool,
    sessions: int,
    streams: Streams,
) -> OnlineEvaluation | ShopEvaluation:
    given = world if isinstance(world, MDPWorld | ShopWorld) else load_world(Path(world))
    name = "world" if given is world else str(world)
    if isinstance(given, ShopWorld):
        found = _in_shop(policies, given, baselines, sessions, streams)
        warn_of_cuts(name, max(result.cut for result in found.values()), sessions)
        return ShopEvaluation(found, name, sessions)
    if baselines:
        refuse_endless(given)  # of which there are no ceilings, before all else is played
    top, sampled = _online(policies, given, baselines, sessions, streams)
    warn_of_cuts(name, max(result.cut for result in (*top.values(), *sampled.values())), sessions)
    return OnlineEvaluation(top, sampled, name, sessions)


def _online(
    policies: dict[str, TrainedPolicy], world: MDPWorld, baselines: bool, sessions: int, streams: Streams
) -> tuple[dict[str, OnlineResult], dict[str, OnlineResult]]:
    """Results with top-k slates (and of the policies of reference), and with sampled slates."""
    top: dict[str, OnlineResult] = {}
    sampled: dict[str, OnlineResult] = {}
    for run, policy in tqdm(policies.items(), desc="play", disable=None, leave=False):
        for results, sampling in ((top, False), (sampled, True)):
            here = policy.in_world(world.catalogue_size, slate_size=world.slate_size, sampled=sampling)
            results[run] = play(here, world, sessions, streams)
    if baselines:
        first = next(iter(policies.values()))
        found = references(world, first, _baselines(first), sessions, streams)
        top |= dict(tqdm(found, desc="references", disable=None, leave=False))
    return top, sampled


def _in_shop(
    runs: dict[str, TrainedPolicy], world: ShopWorld, baselines: bool, sessions: int, streams: Streams
) -> dict[str, ShopResult]:
    """Results with every list ordered by score, and of the policies of reference."""
    policies: dict[str, Policy[Any]] = {name: run.in_world(world.catalogue_size) for name, run in runs.items()}
    if baselines:
        first = next(iter(runs.values()))
        policies |= shop_references(world, first, _baselines(first))
    playing = tqdm(policies.items(), desc="play", disable=None, leave=False)
    return {name: play_in_shop(policy, world, sessions, streams) for name, policy in playing}
