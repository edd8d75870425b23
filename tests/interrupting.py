"""Trainings that are interrupted in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from irecgan.training import loop
from irecgan.training.checkpoint import save_checkpoint


@contextmanager
def interrupted_after(saves: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within it, a training is interrupted when it has written as many checkpoints; it has to write them."""
    left = saves

    def killed(*args: object) -> None:
        nonlocal left
        save_checkpoint(*args)  # type: ignore[arg-type]
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            yield
