"""Small shops that need no calibration, shared by tests."""

from typing import Any

from irecgan.worlds.shop import ShopSpec, ShopWorld


def small_shop(**changes: Any) -> ShopWorld:
    fields = {"kind": "shop", "items": 400, "seed": 0, "click_bias": -1, "purchase_bias": -3}
    return ShopWorld(ShopSpec.model_validate(fields | changes))
