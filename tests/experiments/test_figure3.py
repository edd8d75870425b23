from pathlib import Path

import numpy as np
import pytest

from irecgan.experiments.figure3.cell import work
from irecgan.experiments.figure3.claims import comparisons
from irecgan.experiments.figure3.conclude import conclude
from irecgan.experiments.figure3.results import curves
from irecgan.experiments.figure3.settings import METHODS, Figure3Cell, Figure3Settings, cells
from irecgan.experiments.frame.study import Json

SMALL = Figure3Settings(rounds=2, sessions=30, seeds=1, evaluation_sessions=50)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lives_through_its_rounds_and_is_repeatable(method: str, tmp_path: Path) -> None:
    cell = Figure3Cell(law="softmax", seed=0, method=method)
    result = work(SMALL, cell, tmp_path)
    for stage in ("interaction", "afterwards"):
        assert len(result[stage]) == 2
        assert all(0 <= entry["coverage"]["10"] <= 1 for entry in result[stage])
    assert work(SMALL, cell, tmp_path) == result


def test_methods_of_a_seed_meet_the_same_users(tmp_path: Path) -> None:
    """Before anything is learnt the agents of two methods differ in their weights alone."""
    one = Figure3Settings(rounds=1, sessions=200, seeds=1, evaluation_sessions=50)
    first = [
        work(one, Figure3Cell(law="softmax", seed=0, method=method), tmp_path)["interaction"][0]
        for method in ("PG-online", "PG-online&offline")
    ]
    assert first[0]["coverage"]["10"] == pytest.approx(first[1]["coverage"]["10"], abs=0.05)


def synthetic(cell: Figure3Cell) -> Json:
    """Coverage grows by method-specific steps; coverage@10 half as fast."""
    step = {"IRecGAN": 0.04, "PG-online&offline": 0.03, "PG-online": 0.01}.get(cell.method, 0.005)
    entries = [
        {
            "cumulative_reward": {"mean": 1 + step * t},
            "coverage": {str(r): (step if r == 1 else step / 2) * t + 0.001 * cell.seed for r in (1, 10)},
        }
        for t in range(10)
    ]
    return {"interaction": entries, "afterwards": entries}


def test_claims_and_curves_of_known_results() -> None:
    settings = Figure3Settings(seeds=3)
    results = [(cell, synthetic(cell)) for cell in reversed(cells(settings))]
    (found,) = curves(results)
    assert found.values("IRecGAN", "coverage@1", "interaction").shape == (3, 10)
    np.testing.assert_allclose(found.values("IRecGAN", "coverage@1", "interaction")[:, 0], [0.0, 0.001, 0.002])
    by_label = {c.label: c for c in comparisons([found])}
    assert by_label["softmax, coverage@1, mean of the last 5"].differences == pytest.approx([0.07] * 3)
    assert by_label["softmax, IRecGAN, last 5 rounds less first"].differences == pytest.approx([0.14] * 3)
    conclusion = conclude(settings, results)
    assert {claim["verdict"] for claim in conclusion.json["claims"]} == {"holds"}
    assert conclusion.html.count("<svg") == 2


def test_sessions_that_were_cut_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    settings = Figure3Settings(seeds=3)
    results = [(cell, synthetic(cell)) for cell in cells(settings)]
    results[0][1]["interaction"][3]["cut"] = 7
    conclusion = conclude(settings, results)
    assert "softmax, interaction: up to 7 of 200 sessions were cut after 1000 clicks" in caplog.text
    assert "softmax, afterwards: up to 7 of 4000 sessions" in caplog.text  # its entries are the same objects here
    assert all("cut after 1,000 clicks" in told for told in (conclusion.text, conclusion.html))


def test_means_of_few_rounds_do_not_call_themselves_those_of_five() -> None:
    settings = Figure3Settings(seeds=2, rounds=2)
    results = [(cell, {stage: rows[:2] for stage, rows in synthetic(cell).items()}) for cell in cells(settings)]
    conclusion = conclude(settings, results)
    assert "softmax, interaction, mean of the last 2 rounds" in conclusion.text
    assert "last 5" not in conclusion.text + conclusion.html
