"""`irecgan` in several processes, of which the first gets a signal in the middle of writing its third checkpoint.

The name of the signal comes before the arguments of `irecgan`.
"""

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from irecgan.cli import main
from irecgan.tensors import write_tensors
from irecgan.training import checkpoint

_THIRD = 3


def fail_by(name: str) -> None:
    """Have the signal come when the new checkpoint is written and has yet to replace the one before."""
    count = itertools.count(1)

    def fail(*_: object) -> None:
        os.kill(os.getpid(), signal.Signals[name])

    def write(*arguments: Any) -> None:
        if next(count) == _THIRD:
            patch.object(Path, "replace", fail).start()
        write_tensors(*arguments)

    patch.object(checkpoint, "write_tensors", write).start()


if __name__ == "__main__":
    if os.environ["RANK"] == "0":
        fail_by(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
