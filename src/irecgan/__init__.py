"""Learn a recommendation policy from click logs, measure what it is worth, and serve it."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irecgan.data.log import SessionLog as SessionLog
    from irecgan.evaluation.evaluate import evaluate as evaluate
    from irecgan.runs.trained import TrainedPolicy as TrainedPolicy
    from irecgan.runs.trained import load_policy as load_policy
    from irecgan.training.train import train as train

__version__ = "0.1.0"
__all__ = ["SessionLog", "TrainedPolicy", "evaluate", "load_policy", "train"]

_HOMES = {
    "SessionLog": "irecgan.data.log",
    "TrainedPolicy": "irecgan.runs.trained",
    "evaluate": "irecgan.evaluation.evaluate",
    "load_policy": "irecgan.runs.trained",
    "train": "irecgan.training.train",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `import irecgan` and `irecgan --help` need not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'irecgan' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
