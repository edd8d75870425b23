"""What a run directory holds, and what its user model's terms say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irecgan.models.contrasts import Contrast, Weight, contrasts, weights
from irecgan.models.lists import ListUserModel
from irecgan.models.networks import ModelName
from irecgan.models.user import RecurrentUserModel
from irecgan.runs.manifest import Manifest
from irecgan.runs.store import load_run


@dataclass(frozen=True)
class RunInspection:
    """A run at a glance."""

    name: str  # of its directory
    manifest: Manifest
    parameters: dict[ModelName, int]  # numbers that each of its networks learned
    columns: tuple[str, ...]  # of items and steps, that its networks read
    weights: tuple[Weight, ...]  # of terms; empty without
    contrasts: tuple[Contrast, ...]  # the same in words

    def to_json(self) -> dict[str, Any]:
        """All of it as finite numbers and text."""
        told = self.manifest.model_dump(mode="json")
        return {
            "run": {
                "name": self.name,
                **{key: told[key] for key in ("irecgan", "origin", "deploys", "size", "slate_size", "final_slates")},
                "decision": told["decision"],
                "parameters": dict(self.parameters),
                "columns": list(self.columns),
            },
            "weights": [
                {
                    "term": weight.term,
                    "feature": weight.feature,
                    "level": weight.level,
                    "against": weight.against,
                    "weight": weight.value,
                    "error": weight.error,
                    "low": weight.low,
                    "high": weight.high,
                }
                for weight in self.weights
            ],
            "contrasts": [
                {
                    "term": contrast.term,
                    "one": contrast.one,
                    "other": contrast.other,
                    "known": contrast.known,
                    "log_ratio": contrast.log_ratio,
                    "error": contrast.error,
                    **(_told(contrast) if contrast.known else {}),
                }
                for contrast in self.contrasts
            ],
        }


def inspect_run(directory: Path) -> RunInspection:
    """Look at a run. Raises UserError when it is not a whole run of this version."""
    run = load_run(directory)
    users = (n for n in run.networks.values() if isinstance(n, RecurrentUserModel | ListUserModel))
    terms = next((user.terms for user in users if user.terms is not None), None)
    codes = [run.inputs.items.code if run.inputs.items else None, run.inputs.context]
    return RunInspection(
        name=directory.resolve().name,
        manifest=Manifest.read(directory),
        parameters={name: sum(p.numel() for p in network.parameters()) for name, network in run.networks.items()},
        columns=tuple(column.name for code in codes if code is not None for column in code.columns),
        weights=() if terms is None else tuple(weights(terms)),
        contrasts=() if terms is None else tuple(contrasts(terms)),
    )


def _told(contrast: Contrast) -> dict[str, Any]:
    low, high = contrast.interval
    return {"text": str(contrast), "ratio": contrast.ratio, "low": low, "high": high}
