"""The run directory of a training that is under way: taken, taken up again, and cleared in the end."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irecgan.errors import UserError
from irecgan.files import read_json, refuse_existing, remove_leftovers, write_json
from irecgan.runs.manifest import BEGUN, MANIFEST, Manifest, Origin
from irecgan.training.choice.auto import forget
from irecgan.training.distributed import LostProcessError
from irecgan.training.loop import CHECKPOINT

_HARMLESS = {"checkpoint_minutes", "wait_minutes"}  # settings that change no weights


def take_up(directory: Path, origin: Origin, *, resume: bool) -> bool:
    """Make the directory, or find the same training in it; whether there was one.

    Raises UserError when the directory is taken, or holds a training that began otherwise.
    """
    if resume and (directory / MANIFEST).exists():
        _expect_same(directory / MANIFEST, Manifest.read(directory).origin, origin)
        logging.getLogger("irecgan").warning("%s: is finished already", directory)
        clear(directory)
        return True
    if resume and (directory / BEGUN).exists():
        _expect_same(directory / BEGUN, Origin.parse(directory / BEGUN, read_json(directory / BEGUN)), origin)
        remove_leftovers(directory)
        return True
    if (directory / BEGUN).exists():
        raise UserError(f"{directory}: holds a training that was interrupted; go on with --resume, or remove it first")
    if resume:
        remove_leftovers(directory, BEGUN)  # killed before it began
    refuse_existing(directory)
    write_json(directory / BEGUN, origin.model_dump())
    return False


@contextmanager
def removed_where_refused(directory: Path, *, fresh: bool) -> Iterator[None]:
    """Leave no ``directory`` of a ``fresh`` training that meets a mistake of the user's; a lost process is none."""
    try:
        yield
    except LostProcessError:
        raise
    except UserError:
        if fresh:
            shutil.rmtree(directory)
        raise


def clear(directory: Path) -> None:
    """Remove what only a training under way needs."""
    forget(directory)
    for name in (CHECKPOINT, BEGUN):
        (directory / name).unlink(missing_ok=True)


def _expect_same(path: Path, begun: Origin, now: Origin) -> None:
    before, after = ({**o.settings, **o.model_dump(exclude={"settings"})} for o in (begun, now))
    for key in before | after:
        if key not in _HARMLESS and before.get(key) != after.get(key):
            raise UserError(
                f"--resume: {path} began with {key}={before.get(key)!r}, found {after.get(key)!r}; "
                "expected the same log, recipe, seed and settings"
            )
