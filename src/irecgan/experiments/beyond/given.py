"""Worlds that are given to ``beyond``, in files as ``irecgan simulate`` writes them."""

from collections.abc import Sequence
from pathlib import Path

from irecgan.errors import UserError
from irecgan.worlds.loading import load_world
from irecgan.worlds.mdp import MDPWorld


def given_worlds(files: Sequence[str]) -> dict[str, Path]:
    """The files by names: folder and file, which no law is called. Raises UserError where two names are the same."""
    paths = [Path(file).resolve() for file in files]
    names = [f"{path.parent.name}/{path.stem}" for path in paths]
    if len(set(names)) < len(names):
        raise UserError(f"--world: found files named {', '.join(names)}; expected different folders or names")
    return dict(zip(names, paths, strict=True))


def read_given(path: Path) -> MDPWorld:
    """The world in ``path``. Raises UserError where there is none, or none of the kind with hidden states."""
    world = load_world(path)
    if not isinstance(world, MDPWorld):
        raise UserError(f"--world {path}: found a shop; expected a world with reward and transition")
    return world
