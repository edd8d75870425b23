"""Writing files so that nothing half-written is ever seen under its final name."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from irecgan.errors import UserError


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Have errors of the file system name ``path`` where they name no file, or a temporary one of `atomic_path`."""
    try:
        yield
    except OSError as error:
        temporary = re.compile(rf"(.*/)?\.{re.escape(path.name)}\.[^/]*")
        file = temporary.sub(lambda _: str(path), str(error.filename or path), count=1)
        raise OSError(error.errno, error.strerror or str(error), file) from None


@contextmanager
def parents_made(path: Path) -> Iterator[None]:
    """Make the folders above ``path`` that are missing; those made go if the block ends with an error and left none."""
    missing = [folder for folder in path.parents if not folder.exists()]  # the deepest first
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # not there, or somebody put something in
                folder.rmdir()
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends without an error.

    Raises UserError when ``path`` is a directory.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a directory; expected the name of a file")
    with parents_made(path), file_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A temporary directory beside ``path`` that takes its name when the block ends without an error.

    Raises UserError when ``path`` exists and is not an empty directory that can be replaced.
    """
    refuse_directory(path)
    with parents_made(path), file_errors(path):
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.is_dir():
                path.rmdir()
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(directory: Path, name: str = "*") -> None:
    """Remove the temporary files that a process left in ``directory`` when it was killed while writing ``name``."""
    for path in directory.glob(f".{name}.*"):
        if path.is_file():
            path.unlink()


def refuse_existing(path: Path) -> None:
    """Raise UserError when ``path`` is taken (an empty directory is not)."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path}: exists already; choose another name or remove it first")


def refuse_directory(path: Path) -> None:
    """Raise UserError when `atomic_directory` could not put a directory at ``path``."""
    refuse_existing(path)
    if path.exists() and (path.samefile(Path.cwd()) or path.is_mount()):
        raise UserError(f"{path}: is the working directory, or a mount; expected the name of a directory to make")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` at once."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` at once; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; UserError names the file and line when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(f"{path}: not a JSON file ({error})") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        raise UserError(f"{path}: not valid JSON ({error})") from None


def digest_of(*paths: Path) -> str:
    """SHA-256 of the contents of one file, or of those of several in order."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
