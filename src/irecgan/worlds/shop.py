"""A simulated shop at the scale of the CIKM Cup 2016 log (section 7.2), whose truth is known.

A session is a series of queries. The shop answers each with a list, in the order of an imperfect ranker; a
policy may reorder it. The user looks at one place of the list, clicks what stands there if it appeals, and
otherwise leaves. Appeal follows the user's hidden taste, which moves towards what was clicked.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from irecgan.data.batch import NOTHING
from irecgan.files import write_text
from irecgan.seeding import Streams
from irecgan.worlds.interface import Response
from irecgan.worlds.shop_items import MIN_CATEGORY, draw_items

MIN_ITEMS = 2 * MIN_CATEGORY
SHORTEST, LONGEST = 10, MIN_CATEGORY
"""Items in a list."""

_Number = Annotated[float, Field(ge=-100, le=100)]
_Weight = Annotated[float, Field(ge=0, le=100)]
_Share = Annotated[float, Field(ge=0, le=1)]


class ShopSpec(BaseModel):
    """The contents of a shop's ``WORLD.json``: all else is drawn from ``seed``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["shop"]
    items: Annotated[int, Field(ge=MIN_ITEMS)]
    seed: int
    click_bias: _Number
    """Log-odds of a click on an item of appeal 0 that the user looks at."""
    purchase_bias: _Number
    """Log-odds that a click on an item of appeal 0 leads to a purchase."""
    purchase_slope: _Weight = 1.0
    """How these log-odds grow with the appeal."""
    factors: Annotated[int, Field(ge=2)] = 8
    """Dimensions of taste, and of what it meets in items and categories."""
    zipf: Annotated[float, Field(ge=0, le=4)] = 1.0
    """Popularity is rank to the power of minus this."""
    category_share: _Share = 0.5
    """Share of the variance of an item's place that is its category's."""
    match_weight: _Weight = 1.5
    quality_weight: _Weight = 0.5
    """Of the match with the taste and of the quality in the appeal."""
    focus: _Weight = 1.5
    """How strictly queries follow the taste; 0 = not at all."""
    drift: _Share = 0.2
    """How far a click moves the taste towards the item; 1 = all the way."""
    examination: _Weight = 1.0
    """A rank is looked at in proportion to rank to the power of minus this; 0 = no position effect."""
    list_length: _Weight = 20.0
    """Mean length of a list beyond SHORTEST, before lists are cut at LONGEST."""
    ranker_popularity: _Number = 0.5
    ranker_match: _Number = 0.5
    ranker_noise: _Weight = 1.0
    """Weights in the shop's own ranker: popularity, the match in half the dimensions, noise."""


@dataclass(frozen=True)
class ShopState:
    """B sessions: what their users like and what their present query is answered with."""

    taste: Tensor  # (B, d) float32
    candidates: Tensor  # (B, LONGEST) int64, in the order of the shop's ranker, n after the last

    def __len__(self) -> int:
        return len(self.taste)

    def take(self, rows: Tensor) -> "ShopState":
        """A copy that holds the sessions ``rows`` (R,)."""
        return ShopState(self.taste[rows], self.candidates[rows])

    def join(self, others: Sequence["ShopState"]) -> "ShopState":
        """The sessions of this state and then those of ``others``."""
        return ShopState(
            torch.cat([self.taste, *(other.taste for other in others)]),
            torch.cat([self.candidates, *(other.candidates for other in others)]),
        )


@dataclass(frozen=True)
class Chances:
    """What B users do with the lists that they are shown."""

    click: Tensor  # (B, K) float64, chance of a click on each item; 1 minus their sum: the user leaves
    purchase: Tensor  # (B, K) float64, chance that a click on it leads to a purchase


class ShopWorld:
    """Answers lists by the law of ``chances``.

    Taste starts as N(0, 1) in each of d dimensions. A query is for category c in proportion to
    exp(focus * taste . centre / sqrt(d)). Its list: SHORTEST items and an exponential number more, at most
    LONGEST, drawn from the category without replacement in proportion to popularity; in the order of the
    shop's ranker, whose score adds popularity, the match in the first half of the dimensions, and noise.
    A click moves the taste by ``drift`` of the way to the place of the item: towards its traits, and towards
    its category, which later queries so return to. A purchase has reward 1. No work grows faster than
    sqrt(n) with the catalogue.
    """

    def __init__(self, spec: ShopSpec) -> None:
        self.spec = spec
        self.catalogue_size = spec.items
        self.items = draw_items(
            spec.items, spec.factors, spec.zipf, spec.category_share, Streams(spec.seed).child("shop")
        )

    def start(self, sessions: int, generator: torch.Generator) -> ShopState:
        """New users with their first queries."""
        return self._query(torch.randn(sessions, self.spec.factors, generator=generator), generator)

    def appeal(self, taste: Tensor, slate: Tensor) -> Tensor:
        """The appeal of items (B, K) to tastes (B, d): traits and quality; -inf for n. (B, K) float32"""
        match = _match(taste, self.items.traits[slate])
        appeal = self.spec.match_weight * match + self.spec.quality_weight * self.items.quality[slate]
        return appeal.masked_fill(slate == self.catalogue_size, -torch.inf)

    def chances(self, taste: Tensor, slate: Tensor) -> Chances:
        """The law of a step, for tastes (B, d) and lists (B, K) in shown order.

        A click on the item at rank k of L has chance e_k / (e_1 + .. + e_L) * sigmoid(click_bias + appeal),
        with e_k = k^-examination; then a purchase has chance sigmoid(purchase_bias + purchase_slope *
        appeal). As e falls and both chances rise with the appeal, falling appeal is the order with the most
        expected clicks and the most expected purchases in this step (rearrangement inequality).
        """
        appeal = self.appeal(taste, slate).double()
        shown = slate != self.catalogue_size
        purchase = torch.sigmoid(self.spec.purchase_bias + self.spec.purchase_slope * appeal)
        return Chances(
            click=self.examination(shown) * torch.sigmoid(self.spec.click_bias + appeal),
            purchase=torch.where(shown, purchase, 0.0),
        )

    def examination(self, shown: Tensor) -> Tensor:
        """The chance that the user looks at each entry; 0 where nothing is ``shown`` (B, K). (B, K) float64"""
        by_rank = torch.arange(shown.shape[1] + 1, dtype=torch.float64).clamp(min=1) ** -self.spec.examination
        weight = torch.where(shown, by_rank[shown.cumsum(1)], 0.0)
        return weight / weight.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)

    def respond(self, state: ShopState, slate: Tensor, generator: torch.Generator) -> Response:
        """The answer to ``slate`` (B, K)."""
        chances = self.chances(state.taste, slate)
        draw = torch.rand(2, len(slate), 1, dtype=torch.float64, generator=generator)
        choice = torch.searchsorted(chances.click.cumsum(1), draw[0], right=True)  # (B, 1), K: the user leaves
        clicked = choice < slate.shape[1]
        bought = clicked & (draw[1] < chances.purchase.gather(1, torch.where(clicked, choice, 0)))
        return Response(torch.where(clicked, choice, NOTHING).squeeze(1), bought.squeeze(1).float())

    def advance(self, state: ShopState, slate: Tensor, click: Tensor, generator: torch.Generator) -> ShopState:  # noqa: ARG002
        """The taste after ``click`` (B,), and the next query."""
        return self._query(torch.lerp(state.taste, self.items.place[click], self.spec.drift), generator)

    def hidden(self, state: ShopState) -> Tensor:
        """The taste. (B, d) float32"""
        return state.taste

    def candidates(self, state: ShopState) -> Tensor:
        """The list in the order of the shop's ranker. (B, LONGEST)"""
        return state.candidates

    def save(self, path: Path) -> None:
        """Write the world as ``WORLD.json``; ``load_world`` gives back the very same world."""
        write_text(path, json.dumps(self.spec.model_dump(mode="json"), allow_nan=False) + "\n")

    def _query(self, taste: Tensor, generator: torch.Generator) -> ShopState:
        """Draw a query of every user, and the list that answers it."""
        draw = torch.rand(2, len(taste), 1, generator=generator)
        nearness = taste @ self.items.centres.T / math.sqrt(self.spec.factors)  # (B, C)
        chance = torch.softmax(self.spec.focus * nearness, dim=1)
        category = torch.searchsorted(chance.cumsum(1), draw[0]).clamp(max=chance.shape[1] - 1).squeeze(1)
        length = (SHORTEST - self.spec.list_length * torch.log1p(-draw[1])).long()  # (B, 1), cut by the width
        drawn = self._draw_members(category, generator)  # (B, LONGEST)
        candidates = drawn.masked_fill(torch.arange(LONGEST) >= length, self.catalogue_size)
        return ShopState(taste, self._by_ranker(taste, candidates, generator))

    def _draw_members(self, category: Tensor, generator: torch.Generator) -> Tensor:
        """LONGEST items of each category (B,), one by one in proportion to popularity. (B, LONGEST)

        The order of exponential times over rates is that of such draws.
        """
        rate = self.items.rate[category]  # (B, W)
        arrival = -torch.rand(rate.shape, generator=generator).log() / rate
        return self.items.members[category].gather(1, arrival.topk(LONGEST, largest=False).indices)

    def _by_ranker(self, taste: Tensor, candidates: Tensor, generator: torch.Generator) -> Tensor:
        """The candidates (B, C) by falling score of the shop's ranker, n after the last."""
        seen = self.spec.factors // 2
        score = (
            self.spec.ranker_popularity * self.items.popularity[candidates]
            + self.spec.ranker_match * _match(taste[:, :seen], self.items.traits[:, :seen][candidates])
            + self.spec.ranker_noise * torch.randn(candidates.shape, generator=generator)
        ).masked_fill(candidates == self.catalogue_size, -torch.inf)
        return candidates.gather(1, score.argsort(dim=1, descending=True))


def _match(taste: Tensor, traits: Tensor) -> Tensor:
    """How well traits (B, K, d) fit tastes (B, d): about N(0, 1) by chance. (B, K)"""
    return torch.einsum("bd,bkd->bk", taste, traits) / math.sqrt(taste.shape[1])
