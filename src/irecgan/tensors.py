"""Named tensors: written so that nothing half-written is ever seen under its final name, and picked by prefix."""

import errno
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from irecgan.files import atomic_path


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write ``tensors`` to ``path`` at once, as safetensors. Raises OSError when there is no space left."""
    with atomic_path(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=dict(metadata or {}))
        except SafetensorError as error:
            raise OSError(errno.EIO, f"cannot be written ({error})", str(path)) from None


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
