"""Small shops that need no calibration, shared by tests."""

from typing import Any

from irecgan.worlds.shop import ShopSpec, ShopWorld

_BASE: dict[str, Any] = {"kind": "shop", "items": 400, "seed": 0, "click_bias": -1, "purchase_bias": -3}


def small_shop(**changes: Any) -> ShopWorld:
    return ShopWorld(ShopSpec(**{**_BASE, **changes}))
