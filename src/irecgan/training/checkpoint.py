"""Where a training stands, in one file that is replaced at once."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.errors import UserError, out_of_memory
from irecgan.tensors import below, write_tensors
from irecgan.training.journal import Account
from irecgan.training.lab import Lab


@dataclass
class Progress:
    """How far a training has come. ``best`` holds the weights to return to when the phase ends."""

    phase: int = 0
    unit: int = 0  # units of the phase that are done
    best_unit: int = -1
    best_validation: float = float("inf")
    lines: int = 0  # metrics written
    at_best: dict[str, float] = field(default_factory=dict)  # metrics of the best unit
    exploited: str | None = None  # what the guard says of the last unit
    best: dict[str, Tensor] = field(default_factory=dict, repr=False)


def save_checkpoint(path: Path, lab: Lab, progress: Progress) -> None:
    """Write all weights, optimiser states, the progress and the account of the unit under way to ``path`` at once."""
    tensors = {f"best/{k}": v for k, v in progress.best.items()}
    for name, learner in lab.states.items():
        tensors |= {f"{name}/{k}": v for k, v in learner.state().items()}
    state = {k: v for k, v in asdict(replace(progress, best={})).items() if k != "best"}
    account = lab.journal.account
    if account.generated is not None:
        tensors |= {f"generated/{k}": v for k, v in vars(account.generated).items() if isinstance(v, Tensor)}
    if account.drawn is not None:
        tensors["drawn"] = account.drawn
    unit = {"done": account.done, "batches": account.batches, "total": account.total, "made": account.made}
    write_tensors(path, tensors, {"progress": json.dumps(state), "unit": json.dumps(unit)})


def load_checkpoint(path: Path, lab: Lab) -> Progress:
    """Take up the state in ``path``. Raises UserError when the file is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            account = Account(**json.loads(file.metadata().get("unit", "{}")))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        for name, learner in lab.states.items():
            learner.load_state(below(tensors, f"{name}/"))
        if generated := below(tensors, "generated/"):
            account.generated = Sessions(**generated, catalogue_size=lab.data.items)  # type: ignore[arg-type]
        account.drawn = tensors.get("drawn")
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a checkpoint of this training ({reason})") from None
    progress.best = below(tensors, "best/")
    lab.journal.begin(account)
    return progress
