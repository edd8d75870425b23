"""Metrics of a training: one JSON line per unit, and the same for TensorBoard."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from irecgan.files import write_text


class MetricsLog:
    """Appends to ``metrics.jsonl`` and ``tensorboard/`` in a run directory, from line ``keep`` on."""

    def __init__(self, directory: Path, keep: int) -> None:
        self.path = directory / "metrics.jsonl"
        lines = self.path.read_text(encoding="utf-8").splitlines()[:keep] if self.path.exists() else []
        write_text(self.path, "".join(f"{line}\n" for line in lines))
        self.lines = len(lines)
        self.board = SummaryWriter(str(directory / "tensorboard"), purge_step=self.lines)
        self.start = time.perf_counter()

    def write(self, phase: str, unit: int, metrics: dict[str, float]) -> None:
        """One unit of work: its phase, its index in the phase, and what was measured."""
        seconds = round(time.perf_counter() - self.start, 3)
        record = {"phase": phase, "unit": unit, "seconds": seconds, **metrics}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        for key, value in metrics.items():
            self.board.add_scalar(key, value, self.lines)
        self.lines += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.close()


def read_metrics(directory: Path) -> list[dict[str, float | str]]:
    """The lines of a run's ``metrics.jsonl``."""
    text = (directory / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def best_losses(directory: Path) -> dict[str, float]:
    """The lowest held-out loss of each phase of a run that has one, in the order of the phases."""
    best: dict[str, float] = {}
    for line in read_metrics(directory):
        if "validation" in line:
            phase = str(line["phase"])
            best[phase] = min(float(line["validation"]), best.get(phase, float("inf")))
    return best
