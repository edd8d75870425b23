"""Drawing a shop whose logs look like those of the paper's section 7.2."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.errors import UserError
from irecgan.seeding import Streams
from irecgan.worlds.shop import MIN_ITEMS, ShopSpec, ShopWorld

FEWEST = 2
"""Clicks of the shortest sessions that the paper keeps. The longest have 40, which hardly occurs."""
CLICKS = 2.81
"""Mean clicks of such a session in the paper."""
PURCHASES = 0.0231
"""Share of clicks that are purchases in the paper."""

_SESSIONS = 1_500
_STEPS = 12  # beyond these hardly any session goes on
_ROUNDS = 2


@dataclass(frozen=True)
class Walk:
    """B sessions under the shop's own order that never end: T lists each."""

    examination: Tensor  # (T, B, K) float32
    appeal: Tensor  # (T, B, K) float32

    def clicks(self, bias: float) -> Tensor:
        """The chance of a click on each item in a session that has come so far. (T, B, K)"""
        return self.examination * torch.sigmoid(bias + self.appeal)


def draw_shop(items: int = 40_000, *, seed: int) -> ShopWorld:
    """A shop of ``items`` items, calibrated to two marginals of the paper's log under its own order.

    Matched: the mean number of clicks of the sessions with 2 to 40 of them (by ``click_bias``), and
    the share of clicks that are purchases (by ``purchase_bias``). Assumed: all else, such as the lengths
    of lists, Zipf's law, a look at a rank in proportion to 1 / rank, and the quality of the shop's ranker.
    The calibration plays from the seed, so that a seed has one shop. Raises UserError for fewer than
    MIN_ITEMS items.
    """
    if items < MIN_ITEMS:
        raise UserError(f"items: found {items}, expected at least {MIN_ITEMS}")
    spec = ShopSpec(kind="shop", items=items, seed=seed, click_bias=-1.0, purchase_bias=-6.0)
    streams = Streams(seed).child("shop")
    for turn in range(_ROUNDS):  # the bias has some say in what is clicked, hence in the walk
        spec = _calibrated(spec, _walk(ShopWorld(spec), streams.torch("calibration", turn)))
    return ShopWorld(spec)


def _walk(world: ShopWorld, generator: torch.Generator) -> Walk:
    """Play sessions in which some item is always clicked."""
    state = world.start(_SESSIONS, generator)
    steps = []
    for _ in range(_STEPS):
        slate = state.candidates
        steps.append((world.examination(slate != world.catalogue_size).float(), world.appeal(state.taste, slate)))
        choice = torch.multinomial(world.chances(state.taste, slate).click, 1, generator=generator)  # (B, 1)
        state = world.advance(state, slate, slate.gather(1, choice).squeeze(1), generator)
    return Walk(*map(torch.stack, zip(*steps, strict=True)))


def _calibrated(spec: ShopSpec, walk: Walk) -> ShopSpec:
    """The spec with the biases at which the walk's sessions, ended by chance, have the paper's marginals."""
    click_bias = _solve(lambda bias: _mean_clicks(walk.clicks(bias)), CLICKS)
    clicks = walk.clicks(click_bias)
    clicks *= _reached(clicks)[..., None]  # by sessions that end
    appeal = spec.purchase_slope * walk.appeal
    purchase_bias = _solve(lambda bias: float((clicks * torch.sigmoid(bias + appeal)).sum() / clicks.sum()), PURCHASES)
    return spec.model_copy(update={"click_bias": click_bias, "purchase_bias": purchase_bias})


def _reached(clicks: Tensor) -> Tensor:
    """The chance that a session comes to each of its lists. (T, B, K) -> (T, B)"""
    onward = clicks.sum(2).cumprod(0)
    return torch.cat([torch.ones_like(onward[:1]), onward[:-1]])


def _mean_clicks(clicks: Tensor) -> float:
    """Mean clicks of the sessions with FEWEST or more. (T, B, K)"""
    at_least = _reached(clicks).mean(1)[FEWEST:]  # FEWEST clicks, one more, ...
    return FEWEST - 1 + float(at_least.sum() / at_least[0])


def _solve(function: Callable[[float], float], target: float) -> float:
    """Where the increasing ``function`` reaches ``target``, by bisection.

    Two decimals: the rounding errors of another machine give the same shop.
    """
    low, high = -20.0, 20.0
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return round((low + high) / 2, 2)
