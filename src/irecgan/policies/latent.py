"""Acting on a latent-state user model: the belief is filtered on clicks and own slates, and the plan is followed."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.models.latent import SMALLEST, BeliefState, LatentTables, LatentUserModel
from irecgan.policies.drawing import noisy
from irecgan.policies.interface import Policy, Ranker
from irecgan.policies.planning import Plan, fixed_slates, improved_plan
from irecgan.policies.ranking import RankingPolicy, ordered, sampled_slate, top_slate
from irecgan.worlds.candidates import CandidateModel
from irecgan.worlds.interface import Scene

CONSIDERED = 200
"""Items, the most attractive in any state, that a plan may show in its slates."""
BELIEFS, BACKUPS = (256, 256, 512, 512), 60
"""At which a plan is improved, a round each; pairs are made for AT_ONCE of them in turn."""
AT_ONCE = 32


def candidate_model(tables: LatentTables, items: Tensor, reward_weight: float) -> CandidateModel:
    """The users of ``tables``, shown ``items`` (I,) alone; a click earns 1 + ``reward_weight`` times its reward."""
    return CandidateModel(
        weight=tables.weight[:, items].contiguous(),
        survival=tables.survival[:, items].contiguous(),
        gain=(1 + reward_weight * tables.reward[:, items]).clamp(min=0),
        transition=tables.transition[items].transpose(0, 1).contiguous(),
        start=tables.start,
    )


def considered_items(tables: LatentTables, slate_size: int) -> Tensor:
    """The items that stand first in some state: all of them in small catalogues. (I,) int64, rising"""
    appeal = (tables.weight * tables.survival)[:, :-1]
    count = min(max(CONSIDERED, slate_size), tables.items)
    places = (-appeal).argsort(dim=1, stable=True).argsort(dim=1)  # (Z, n)
    return places.min(0).values.argsort(stable=True)[:count].sort().values


def plan_slates(
    tables: LatentTables, slate_size: int, generator: torch.Generator, *, reward_weight: float = 0.0
) -> Plan:
    """The slates that earn most clicks, weighed by their rewards, from users of ``tables`` until they leave.

    Clicks count in full whenever they come: sessions end by themselves.
    """
    items = considered_items(tables, slate_size)
    model = candidate_model(tables, items, reward_weight)
    plan = improved_plan(
        model, fixed_slates(model, slate_size), generator, beliefs=BELIEFS, at_once=AT_ONCE, backups=BACKUPS
    )
    return Plan(plan.values, items[plan.slates])


class LatentRanker:
    """Ranks the catalogue by the plan: the planned slate, and then what would add most to it.

    It is told of clicks alone, and takes it that its own slates were shown. Scores are of log scale without meaning
    beyond their order.
    """

    def __init__(self, model: LatentUserModel) -> None:
        self.model = model
        self.plan = Plan(model.plan_values, model.plan_slates)
        tables = model.tables
        # What a candidate is worth when the state that follows is known: an upper bound, the same for all beliefs.
        ahead = self.plan.values.max(0).values
        self._worth = tables.survival * (1 + torch.einsum("jzy,y->zj", tables.transition, ahead))  # (Z, n + 1)

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.model.catalogue_size

    def on_cpu(self) -> "LatentRanker":
        """The same where worlds are: `acting` on it follows the slates that were shown, wherever it was."""
        return LatentRanker(deepcopy(self.model).cpu())

    def start(self, sessions: int) -> BeliefState:
        """The belief before the first slate."""
        return self.model.start(sessions)

    def slate(self, state: BeliefState) -> Tensor:
        """The planned slates, the most attractive item first. (B, K)"""
        slate = self.plan.slates[self.plan.choose(state.belief)[0]]
        tables = self.model.tables
        appeal = torch.einsum("bz,zbk->bk", state.belief, (tables.weight * tables.survival)[:, slate])
        return slate.gather(1, appeal.argsort(dim=1, descending=True, stable=True))

    def scores(self, state: BeliefState) -> Tensor:
        """Scores of all items. (B, n) float32"""
        items = torch.arange(self.catalogue_size, device=state.belief.device).expand(len(state), -1)
        return self.scores_of(state, items)

    def scores_of(self, state: BeliefState, items: Tensor) -> Tensor:
        """Scores of ``items`` (B, C) alone; any number for the index n. (B, C) float32"""
        weight = self.model.tables.weight
        slate = self.slate(state)
        total = weight[:, slate].sum(2).T.clamp(min=SMALLEST)  # (B, Z)
        value = (weight[:, slate] * self._worth[:, slate]).sum(2).T / total  # (B, Z)
        part = state.belief / total
        # To first order, what an item adds to sum_z b_z N_z / D_z.
        gain = torch.einsum("bz,zbc->bc", part, (weight * self._worth)[:, items])
        gain = gain - torch.einsum("bz,zbc->bc", part * value, weight[:, items])
        gain = torch.tanh(gain)  # between -1 and 1: the items of the slate stay above all others
        place = (items[:, :, None] == slate[:, None]).to(gain)  # (B, C, K)
        bonus = (place * torch.arange(slate.shape[1] + 1, 1, -1, device=place.device)).sum(2)
        return (gain + 2 * bonus).float()

    def advance(self, state: BeliefState, click: Tensor) -> BeliefState:
        """The belief after ``click`` (B,) in the planned slate, or on an item beside it."""
        return self.model.advance(state, self.slate(state), click)

    def score_slates(self, batch: SessionBatch) -> Tensor:
        """Scores of the items shown at the M real steps of ``batch``, whose clicks are seen. (M, K)"""
        found = torch.zeros(batch.slate.shape, device=batch.slate.device)
        state = self.model.start(len(batch))
        for t in range(batch.slate.shape[1]):
            rows = batch.real[:, t].nonzero().squeeze(1)
            found[rows, t] = self.scores_of(state.take(rows), batch.slate[rows, t])
            slate = batch.slate[:, t]
            state = self.model.advance(state, slate, batch.click[:, t])
        return found[batch.real]


class LatentPolicy:
    """Shows the slates of a plan, or draws slates by their scores; where the world has candidates, orders these.

    Its belief is filtered on the slates that were shown.
    """

    def __init__(self, ranker: LatentRanker, slate_size: int, *, sampled: bool = False) -> None:
        self.ranker = ranker
        self.slate_size = slate_size
        self.sampled = sampled

    def start(self, sessions: int) -> BeliefState:
        """The belief before the first slate."""
        return self.ranker.start(sessions)

    def propose(self, state: BeliefState, scene: Scene, generator: torch.Generator) -> Tensor:
        """Slates (B, K), the most attractive item first."""
        items = self.ranker.catalogue_size
        if scene.candidates is not None:
            scores = self.ranker.scores_of(state, scene.candidates)
            offered = scores.masked_fill(scene.candidates == items, -torch.inf)
            return ordered(noisy(offered, generator) if self.sampled else offered, scene.candidates)
        if self.sampled:
            return sampled_slate(self.ranker.scores(state), self.slate_size, generator)
        slate = self.ranker.slate(state)
        if self.slate_size == slate.shape[1]:
            return slate
        return top_slate(self.ranker.scores(state), self.slate_size)

    def advance(self, state: BeliefState, slate: Tensor, click: Tensor) -> BeliefState:
        """The belief after ``click`` (B,) in ``slate`` (B, K)."""
        return self.ranker.model.advance(state, slate, click)


def acting(ranker: Ranker[Any], slate_size: int, *, sampled: bool = False) -> Policy[Any]:
    """The policy that shows what ``ranker`` puts first: of a plan its slates, else the top of the ranking."""
    if isinstance(ranker, LatentRanker):
        return LatentPolicy(ranker, slate_size, sampled=sampled)
    return RankingPolicy(ranker, slate_size, sampled=sampled)
