import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.experiments.frame.study import (
    CELLS,
    REPORT,
    RESULTS,
    Cell,
    Conclusion,
    Experiment,
    Json,
    Settings,
    run_study,
)


class Numbers(Settings):
    numbers: tuple[int, ...] = (1, 2, 3)
    refused: int | None = None


class Number(Cell):
    number: int
    law: str = "dirichlet:0.02"


def cells(settings: Numbers) -> list[Number]:
    return [Number(number=number) for number in settings.numbers]


def work(settings: Numbers, cell: Number, scratch: Path) -> Json:
    (scratch / "anything").write_text("gone afterwards")
    if cell.number == settings.refused:
        raise UserError("this number is wrong")
    return {"square": cell.number**2, "at": time.time_ns()}


def conclude(settings: Numbers, results: Sequence[tuple[Number, Json]]) -> Conclusion:
    squares = {str(cell.number): result["square"] for cell, result in results}
    return Conclusion({"squares": squares}, str(squares), f"<p>{squares}</p>")


SQUARES: Experiment[Numbers, Number] = Experiment(
    "squares", "squares numbers", {"all": Numbers()}, cells, work, conclude
)


def test_a_study_leaves_its_cells_results_and_report(tmp_path: Path) -> None:
    out = tmp_path / "out"
    conclusion = run_study(SQUARES, Numbers(), out, Here())
    assert conclusion.json == {"squares": {"1": 1, "2": 4, "3": 9}}
    assert json.loads((out / RESULTS).read_text()) == conclusion.json
    assert "9" in (out / REPORT).read_text()
    assert sorted(path.name for path in (out / CELLS).iterdir()) == [f"{n}-dirichlet_0.02.json" for n in (1, 2, 3)]


def test_only_missing_cells_are_worked_off_again(tmp_path: Path) -> None:
    run_study(SQUARES, Numbers(), tmp_path, Here())
    before = {path.name: path.read_text() for path in (tmp_path / CELLS).iterdir()}
    (tmp_path / CELLS / "2-dirichlet_0.02.json").unlink()
    (tmp_path / CELLS / ".2-dirichlet_0.02.json.x.json").write_text("left by a kill")
    run_study(SQUARES, Numbers(), tmp_path, Here())
    after = {path.name: path.read_text() for path in (tmp_path / CELLS).iterdir()}
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == ["2-dirichlet_0.02.json"]


def test_a_mistake_names_its_cell_keeps_what_is_done_and_leaves_nothing_when_nothing_is(tmp_path: Path) -> None:
    begun, fresh = tmp_path / "begun", tmp_path / "fresh"
    with pytest.raises(UserError, match=r"^2-dirichlet_0\.02: this number is wrong$"):
        run_study(SQUARES, Numbers(refused=2), begun, Here())
    assert (begun / CELLS / "1-dirichlet_0.02.json").exists()
    with pytest.raises(UserError, match="this number is wrong"):
        run_study(SQUARES, Numbers(numbers=(4,), refused=4), fresh, Here())
    assert not fresh.exists()


def test_another_study_is_refused(tmp_path: Path) -> None:
    run_study(SQUARES, Numbers(numbers=(1,)), tmp_path / "out", Here())
    with pytest.raises(UserError, match="study of another settings"):
        run_study(SQUARES, Numbers(numbers=(2,)), tmp_path / "out", Here())
    (tmp_path / "file").write_text("mine")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError, match="exists already and holds no study"):
            run_study(SQUARES, Numbers(), taken, Here())


def test_wrong_settings_and_presets_are_named() -> None:
    with pytest.raises(UserError, match=r"^setting numbers\.0: found 'one'"):
        Numbers().changed({"numbers": ("one",)})
    with pytest.raises(UserError, match=r"^setting logs: this experiment has none such; expected one of numbers"):
        Numbers().changed({"logs": ("one",)})
    with pytest.raises(UserError, match=r"^--preset most: no such preset; expected one of all$"):
        SQUARES.preset("most")
