"""Policies as rerankers in a simulated shop: the true value beside which P@k on a log can be put."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from irecgan.evaluation.intervals import Interval, normal_ratios
from irecgan.policies.interface import Policy
from irecgan.policies.witness import Witness
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.simulation import LONGEST
from irecgan.tables import aligned
from irecgan.worlds.shop import ShopWorld

DEPTHS = (1, 10)  # best_found@1, @10
_CHUNK = 1_000  # sessions at once: a policy scores the whole catalogue for each


@dataclass(frozen=True)
class ShopResult:
    """What a policy is worth in a shop."""

    cumulative_reward: Interval  # purchases per session
    clicks: Interval  # per session
    best_found: dict[int, Interval]  # by depth: means over all steps, the one at which the user leaves included
    cut: int  # sessions cut at LONGEST

    def to_json(self) -> dict[str, Any]:
        """``cumulative_reward``, ``clicks``, ``best_found`` (means), ``best_found_intervals`` and ``cut``."""
        return {
            "cumulative_reward": self.cumulative_reward.to_json(),
            "clicks": self.clicks.to_json(),
            "best_found": {str(r): interval.mean for r, interval in self.best_found.items()},
            "best_found_intervals": {str(r): interval.to_json() for r, interval in self.best_found.items()},
            "cut": self.cut,
        }


@dataclass(frozen=True)
class ShopEvaluation:
    """Policies in a shop."""

    runs: dict[str, ShopResult]
    world: str
    sessions: int

    def __getitem__(self, key: str) -> Any:
        """What `to_json` has under ``key``."""
        return self.to_json()[key]

    def to_json(self) -> dict[str, Any]:
        """The object that ``irecgan evaluate --world --json`` prints for a shop."""
        runs = {name: result.to_json() for name, result in self.runs.items()}
        return {"runs": runs, "world": self.world, "sessions": self.sessions, "slates": "candidates by score"}

    def table(self) -> str:
        """A table for a terminal, best first."""
        rows = [
            [
                name,
                r.cumulative_reward.text(".1f", times=1000),
                str(r.clicks),
                *(f"{i.mean:.3f}" for i in r.best_found.values()),
            ]
            for name, r in sorted(self.runs.items(), key=lambda pair: -pair[1].cumulative_reward.mean)
        ]
        heads = ["policy", "purchases of 1,000 sessions", "clicks per session", *(f"best found@{r}" for r in DEPTHS)]
        return f"{self.world}: {self.sessions} sessions a policy\n" + aligned([heads, *rows], left=True)


def play_in_shop(policy: Policy[Any], world: ShopWorld, sessions: int, streams: Streams) -> ShopResult:
    """Play ``sessions`` sessions in which ``policy`` orders every list.

    Every list that is met counts with its expected clicks and purchases by the law of the shop instead of
    with what was drawn: the same means with narrower intervals. Policies that are played with equal
    ``streams`` meet the same users with the same first lists and draws, so their results are paired; they
    part when the first sessions end.
    """
    parts = []
    for first in range(0, sessions, _CHUNK):
        count = min(_CHUNK, sessions - first)
        witness = Witness(policy)
        batch = rollout(witness, world, count, max_length=LONGEST, generator=streams.torch("evaluate", first))
        real = batch.real
        slate, taste = batch.slate[real], witness.hidden(*real.shape)[real]  # (M, K), (M, d)
        chances = world.chances(taste, slate)
        earned = torch.stack([(chances.click * chances.purchase).sum(1), chances.click.sum(1)], dim=1)  # (M, 2)
        per_step = torch.cat([earned, best_found(world.appeal(taste, slate))], dim=1)
        totals = torch.zeros(count, per_step.shape[1], dtype=torch.float64)
        totals.index_add_(0, real.nonzero()[:, 0], per_step)
        of_session = torch.stack([batch.steps, ~batch.ended.any(1)], dim=1).double()
        parts.append(torch.cat([of_session, totals], dim=1))
    table = torch.cat(parts).numpy()  # (S, 4 + depths)
    steps, cut = table[:, :2].T
    value, clicks = (number.within(0.0, np.inf) for number in normal_ratios(table[:, 2:4], np.ones(sessions)))
    found = [share.within(0.0, 1.0) for share in normal_ratios(table[:, 4:], steps)]
    return ShopResult(value, clicks, dict(zip(DEPTHS, found, strict=True)), int(cut.sum()))


def best_found(appeal: Tensor) -> Tensor:
    """The share of a list's r most attractive items that stand in its first r places, per depth. (M, len(DEPTHS))

    ``appeal`` (M, K) of the items in shown order, -inf where nothing is shown; a list of fewer than r items
    counts by its length. It is Coverage@r of section 7.1 within the list.

    >>> best_found(torch.tensor([[0.1, 0.5, 0.2, -torch.inf]]))
    tensor([[0., 1.]], dtype=torch.float64)
    """
    place = appeal.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # (M, K) true rank, from 0
    size = (appeal > -torch.inf).sum(1, keepdim=True)  # (M, 1)
    depth = torch.tensor(DEPTHS).minimum(size)  # (M, R)
    shown = torch.arange(appeal.shape[1]) < depth[:, :, None]  # (M, R, K)
    return ((place[:, None] < depth[:, :, None]) & shown).sum(2) / depth.clamp(min=1).double()
