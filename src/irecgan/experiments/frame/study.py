"""Studies: a grid of independent cells, worked off by several workers, then concluded in one report.

Every cell leaves one file. A study that was interrupted goes on where it stopped, and one that is finished is
only concluded anew.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

import irecgan
from irecgan.errors import UserError
from irecgan.execution.interface import Executor
from irecgan.execution.work_off import worked_off
from irecgan.files import parents_made, read_json, remove_leftovers, write_json, write_text
from irecgan.training.config import PRESETS as TRAINING_PRESETS
from irecgan.training.config import Positive
from irecgan.training.recipes import find_recipe

CELLS = "cells"
STUDY = "study.json"
RESULTS = "results.json"
REPORT = "report.html"
FIGURES = "figures"
INPUTS = "inputs"

Json = dict[str, Any]
T = TypeVar("T")


def _recipe(name: str) -> str:
    try:
        return find_recipe(name).name
    except UserError as error:
        raise ValueError(str(error)) from None


def _preset(name: str) -> str:
    if name not in TRAINING_PRESETS:
        raise ValueError(f"no such preset of a training; expected one of {', '.join(TRAINING_PRESETS)}")
    return name


def _once(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


Model = Annotated[str, AfterValidator(_recipe)]
"""The name of a recipe."""
Preset = Annotated[str, AfterValidator(_preset)]
"""The name of settings of a training."""
Distinct = Annotated[tuple[T, ...], Field(min_length=1), AfterValidator(_once)]
"""At least one value; what is named twice counts once."""
Models = Distinct[Model]
Seeds = Positive


class Settings(BaseModel):
    """What a study varies and what it holds fixed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def changed(self, values: Mapping[str, object], options: Mapping[str, str] | None = None) -> Self:
        """The settings with other ``values``; UserError names the first that is wrong, or not of this study.

        ``options``: of the command line, by which settings were given.
        """
        try:
            return type(self).model_validate({**self.model_dump(), **values})
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            named = (options or {}).get(str(first["loc"][0]), f"setting {key}")
            if first["type"] == "extra_forbidden":
                known = ", ".join(type(self).model_fields)
                raise UserError(f"{named}: this experiment has none such; expected one of {known}") from None
            raise UserError(f"{named}: found {first['input']!r}: {first['msg']}") from None


class Cell(BaseModel):
    """One piece of a study, which needs no other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def key(self) -> str:
        """Its file name: the values of its fields."""
        return "-".join(str(value).replace(":", "_").replace("/", "_") for value in dict(self).values())


S = TypeVar("S", bound=Settings)
C = TypeVar("C", bound=Cell)


@dataclass(frozen=True)
class Conclusion:
    """What a study found: for programs, for a terminal, and as a page of HTML.

    ``figures``: SVG by name, of those plots that are wanted as files of their own.
    """

    json: Json
    text: str
    html: str
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment(Generic[S, C]):
    """A study that can be run.

    ``work`` is a function of a module, for other processes must find it; its folder is empty, and is gone
    afterwards. It gives numbers and text that JSON can hold. ``grows``: settings that say which cells there are and
    change none of them; a study that was begun may go on with others. ``inputs``: digests, by name, of the files that
    cells read; a study that was begun goes on with the same under a name.
    """

    name: str
    summary: str
    presets: Mapping[str, S]
    cells: Callable[[S], Sequence[C]]
    work: Callable[[S, C, Path], Json]
    conclude: Callable[[S, Sequence[tuple[C, Json]]], Conclusion]
    grows: tuple[str, ...] = ()
    inputs: Callable[[S], Mapping[str, str]] = lambda _: {}

    def preset(self, name: str) -> S:
        """The settings called ``name``; UserError lists the names there are."""
        if name not in self.presets:
            raise UserError(f"--preset {name}: no such preset; expected one of {', '.join(self.presets)}")
        return self.presets[name]


def run_study(experiment: Experiment[S, C], settings: S, out: Path, executor: Executor) -> Conclusion:
    """Work off the cells that are still open in ``out``, and write the results and the report there.

    Raises UserError when ``out`` holds something else, a cell finds a mistake in the input or loses one worker after
    another, or the workers of ``executor`` cannot be had.
    """
    cells = _distinct(experiment.cells(settings))
    with _taken_up(experiment, settings, out):
        _work_off(experiment, settings, cells, out / CELLS, executor)
    conclusion = experiment.conclude(settings, [(cell, read_json(_file(out / CELLS, cell))) for cell in cells])
    write_json(out / RESULTS, conclusion.json)
    write_text(out / REPORT, conclusion.html)
    for name, figure in conclusion.figures.items():
        write_text(out / FIGURES / f"{name}.svg", figure)
    for drawn in (out / FIGURES).glob("*.svg"):
        if drawn.stem not in conclusion.figures:
            drawn.unlink()  # of other rows, before
    return conclusion


def _distinct(cells: Sequence[C]) -> list[C]:
    """Every cell once. Raises UserError where two would leave the same file."""
    found: dict[str, C] = {}
    for cell in cells:
        if (other := found.setdefault(cell.key, cell)) != cell:
            one, two = next((a, b) for (_, a), (_, b) in zip(other, cell, strict=True) if a != b)
            raise UserError(f"found {one} and {two} in one study; expected names that differ in more than : and /")
    return list(found.values())


def _work_off(experiment: Experiment[S, C], settings: S, cells: Sequence[C], folder: Path, executor: Executor) -> None:
    """Write the file of every cell that has none."""
    todo = [cell for cell in cells if not _file(folder, cell).exists()]
    if not todo:
        return
    bar = tqdm(total=len(cells), initial=len(cells) - len(todo), desc=experiment.name, disable=None, leave=False)
    work = partial(_work, experiment.work, settings)
    with bar, closing(worked_off(executor, work, todo, lambda cell: cell.key)) as results:
        for cell, result in results:
            write_json(_file(folder, cell), result)
            bar.update()


@contextmanager
def _taken_up(experiment: Experiment[S, C], settings: S, out: Path) -> Iterator[None]:
    """Begin a study in ``out``, or find the same one there; what was begun here goes if an error finds no cell done."""
    existed, begins = out.exists(), not (out / STUDY).exists()
    with parents_made(out):
        _take_up(experiment, settings, out)
        try:
            yield
        except UserError:
            if begins and not any((out / CELLS).iterdir()):
                (out / CELLS).rmdir()
                (out / STUDY).unlink()
                if not existed:
                    out.rmdir()
            raise


def _take_up(experiment: Experiment[S, C], settings: S, out: Path) -> None:
    begun = {
        "experiment": experiment.name,
        "irecgan": irecgan.__version__,
        "settings": settings.model_dump(mode="json"),
    }
    inputs = dict(experiment.inputs(settings))
    if (out / STUDY).exists():
        before = read_json(out / STUDY)
        for key, value in begun.items():
            if not isinstance(before, dict) or _fixed(before.get(key), experiment) != _fixed(value, experiment):
                raise UserError(f"{out / STUDY}: found a study of another {key}; expected the same, or an empty --out")
        inputs = _same(before.get(INPUTS, {}), inputs, out)
        remove_leftovers(out / CELLS)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists already and holds no study; choose another name or remove it first")
    else:
        (out / CELLS).mkdir(parents=True)
    write_json(out / STUDY, begun | {INPUTS: inputs})


def _same(before: Mapping[str, str], now: Mapping[str, str], out: Path) -> dict[str, str]:
    """All inputs that the study has had. Raises UserError where one is no longer what it was."""
    for name, digest in now.items():
        if before.get(name, digest) != digest:
            raise UserError(f"{name}: not what it was when {out} was begun; expected the same, or an empty --out")
    return {**before, **now}


def _fixed(value: Any, experiment: Experiment[S, C]) -> Any:
    """Settings without those that may grow."""
    return {k: v for k, v in value.items() if k not in experiment.grows} if isinstance(value, dict) else value


def _file(folder: Path, cell: Cell) -> Path:
    return folder / f"{cell.key}.json"


def _work(work: Callable[[S, C, Path], Json], settings: S, cell: C) -> Json:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return work(settings, cell, Path(scratch))
        except UserError as error:
            raise UserError(f"{cell.key}: {error}") from None
