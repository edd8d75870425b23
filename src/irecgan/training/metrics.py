"""Metrics of a training: one JSON line per unit, and the same for TensorBoard."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from irecgan.errors import UserError
from irecgan.files import write_text


class MetricsLog:
    """Appends to ``metrics.jsonl`` and ``tensorboard/`` in a run directory, from line ``keep`` on."""

    def __init__(self, directory: Path, keep: int) -> None:
        self.path = directory / "metrics.jsonl"
        lines = self.path.read_text(encoding="utf-8").splitlines()[:keep] if self.path.exists() else []
        write_text(self.path, "".join(f"{line}\n" for line in lines))
        self.lines = len(lines)
        self.board = _Board(directory / "tensorboard", self.lines)
        self.start = time.perf_counter()

    def write(self, phase: str, unit: int, metrics: dict[str, float]) -> None:
        """One unit of work: its phase, its index in the phase, and what was measured."""
        seconds = round(time.perf_counter() - self.start, 3)
        record = {"phase": phase, "unit": unit, "seconds": seconds, **metrics}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.board.write(self.lines, metrics)
        self.lines += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.close()


class _Board:
    """An event file of TensorBoard, written at once: its own writer's thread reports a full disk with a traceback."""

    def __init__(self, directory: Path, first: int) -> None:
        """A new file in ``directory`` whose steps begin at ``first``; later ones of other files are void."""
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / f"events.out.tfevents.{time.time_ns()}").open("wb")
        self._records = RecordWriter(self._file)
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if first:
            self._add(Event(wall_time=time.time(), step=first, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """The ``metrics`` of a step."""
        values = [Summary.Value(tag=key, simple_value=value) for key, value in metrics.items()]
        self._add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def _add(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
        self._records.flush()


def read_metrics(directory: Path) -> list[dict[str, float | str]]:
    """The lines of a run's ``metrics.jsonl``. Raises UserError for one that is no JSON object."""
    path = directory / "metrics.jsonl"
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            lines.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            raise UserError(f"{path}: row {number}: found {line[:60]!r}; expected a JSON object") from None
    return lines


def best_losses(directory: Path) -> dict[str, float]:
    """The lowest held-out loss of each phase of a run that has one, in the order of the phases."""
    best: dict[str, float] = {}
    for line in read_metrics(directory):
        if "validation" in line:
            phase = str(line["phase"])
            best[phase] = min(float(line["validation"]), best.get(phase, float("inf")))
    return best
