"""Reading a world of any kind."""

from pathlib import Path

from irecgan.files import read_json
from irecgan.worlds.mdp import MDPSpec, MDPWorld
from irecgan.worlds.shop import ShopSpec, ShopWorld
from irecgan.worlds.spec import parse_spec


def load_world(path: Path) -> MDPWorld | ShopWorld:
    """Read a ``WORLD.json``: a shop where its ``kind`` says so. Raises UserError naming file and field."""
    fields = read_json(path)
    if isinstance(fields, dict) and fields.get("kind") == "shop":
        return ShopWorld(parse_spec(ShopSpec, str(path), fields))
    return MDPWorld(parse_spec(MDPSpec, str(path), fields))
