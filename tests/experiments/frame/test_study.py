import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.experiments.frame.study import (
    CELLS,
    FIGURES,
    REPORT,
    RESULTS,
    Cell,
    Conclusion,
    Experiment,
    Json,
    Settings,
    run_study,
)
from irecgan.experiments.registry import find_experiment


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


def test_a_cell_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    seen: list[int] = []

    def counted(settings: Numbers, results: Sequence[tuple[Number, Json]]) -> Conclusion:
        seen.extend(cell.number for cell, _ in results)
        return conclude(settings, results)

    run_study(replace(SQUARES, conclude=counted), Numbers(numbers=(2, 1, 2)), tmp_path / "out", Here())
    assert seen == [2, 1]


def test_cells_that_would_leave_one_file_are_refused(tmp_path: Path) -> None:
    def alike(settings: Numbers) -> list[Number]:
        return [Number(number=1, law=law) for law in ("a/b", "a:b")]

    with pytest.raises(UserError, match="found a/b and a:b in one study"):
        run_study(replace(SQUARES, cells=alike), Numbers(), tmp_path / "out", Here())
    assert not (tmp_path / "out").exists()


def test_inputs_stay_what_they_were(tmp_path: Path) -> None:
    def reading(**inputs: str) -> Experiment[Numbers, Number]:
        return replace(SQUARES, inputs=lambda _: {f"--log {name}": digest for name, digest in inputs.items()})

    out = tmp_path / "out"
    run_study(reading(a="1"), Numbers(), out, Here())
    run_study(reading(a="1", b="2"), Numbers(), out, Here())
    for other in (reading(a="3"), reading(b="3")):
        with pytest.raises(UserError, match=r"--log [ab]: not what it was when .*out was begun"):
            run_study(other, Numbers(), out, Here())
    run_study(reading(b="2"), Numbers(), out, Here())


def test_figures_of_rows_that_are_gone_do_not_stay(tmp_path: Path) -> None:
    def drawing(*names: str) -> Experiment[Numbers, Number]:
        return replace(SQUARES, conclude=lambda s, r: replace(conclude(s, r), figures=dict.fromkeys(names, "<svg/>")))

    run_study(drawing("one", "two"), Numbers(), tmp_path / "out", Here())
    run_study(drawing("two"), Numbers(), tmp_path / "out", Here())
    assert [path.name for path in (tmp_path / "out" / FIGURES).iterdir()] == ["two.svg"]


@pytest.mark.parametrize("begun", [True, False])
def test_an_error_takes_back_no_more_than_was_begun(tmp_path: Path, begun: bool) -> None:
    """A directory that was there stays, and so does a study of before with what was laid beside it."""
    out = tmp_path / "out"
    out.mkdir()
    refusing = Numbers(numbers=(1,), refused=1)
    if begun:
        run_study(replace(SQUARES, cells=lambda _: []), refusing, out, Here())
        (out / "notes.md").write_text("mine")
    with pytest.raises(UserError, match="this number is wrong"):
        run_study(SQUARES, refusing, out, Here())
    assert (out / "notes.md").exists() == begun
    assert any(out.iterdir()) == begun
    with pytest.raises(UserError, match="this number is wrong"):
        run_study(SQUARES, refusing, tmp_path / "new" / "out", Here())
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("experiment", "setting", "value"),
    [
        ("figure2", "evaluation_sessions", 0),
        ("figure2", "blocks", [{"law": "softmax", "logs": ["mix"], "sizes": [0]}]),
        ("figure2", "preset", "bogus"),
        ("figure3", "rounds", 0),
        ("figure3", "sessions", 1),
        ("table1", "shop", {"items": 200, "sessions": 0, "evaluation_sessions": 10}),
    ],
)
def test_settings_that_leave_nothing_to_measure_are_refused(experiment: str, setting: str, value: object) -> None:
    with pytest.raises(UserError, match=f"setting {setting}"):
        find_experiment(experiment).preset("quick").changed({setting: value})
