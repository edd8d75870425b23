import pytest

from irecgan.experiments.figure2.claims import comparisons
from irecgan.experiments.figure2.conclude import conclude
from irecgan.experiments.figure2.results import panels
from irecgan.experiments.figure2.settings import NAIVE, REFERENCES, Block, Figure2Cell, Figure2Settings, cells
from irecgan.experiments.frame.study import Json

SETTINGS = Figure2Settings(
    blocks=(Block(law="softmax", logs=("random", "max"), sizes=(200,)),), models=("lstm", "pg", "irecgan"), seeds=3
)


def played(reward: float, coverage: list[float]) -> Json:
    return {
        "cumulative_reward": {"mean": reward, "low": reward, "high": reward},
        "coverage": {str(r): value for r, value in enumerate(coverage, start=1)},
    }


def result(cell: Figure2Cell) -> Json:
    """IRecGAN earns 1 more than PG, LSTM 1 less; the coverage of LSTM falls with r."""
    worth = {"lstm": 1.0, "pg": 2.0, "irecgan": 3.0}
    if cell.row == REFERENCES:
        return {"oracle": {"top": played(9.0, [1.0] * 10)}}
    if cell.row == NAIVE:
        return {"popularity": {"top": played(4.0, [0.5] * 10)}}
    covered = [1 - 0.1 * r for r in range(10)] if cell.row == "lstm" else [0.5] * 10
    reward = worth[cell.row] + 0.1 * cell.seed
    return {cell.row: {"top": played(reward, covered), "sampled": played(reward / 2, covered)}}


RESULTS = [(cell, result(cell)) for cell in reversed(cells(SETTINGS))]


def test_every_log_has_a_cell_for_each_row_and_seed_and_each_world_its_references() -> None:
    found = cells(SETTINGS)
    assert len(found) == 2 * 3 * (3 + 1) + 3
    assert len({cell.key for cell in found}) == len(found)
    assert [cell.seed for cell in found if cell.row == REFERENCES] == [0, 1, 2]


def test_results_are_paired_by_seed() -> None:
    panel = panels(RESULTS)[0]
    assert (panel.law, panel.log, panel.sessions) == ("softmax", "max", 200)
    assert panel.rewards("irecgan") == pytest.approx([3.0, 3.1, 3.2])
    assert panel.rewards("oracle") == [9.0] * 3
    assert panel.reward("pg").mean == pytest.approx(2.1)
    assert panel.mean_coverage("lstm")[9].mean == pytest.approx(0.1)


def test_claims_are_differences_in_the_claimed_direction() -> None:
    found = comparisons(panels(RESULTS))
    by_claim = {c.claim: c for c in found if "max log" in c.label and "sampled" not in c.label}
    assert by_claim["IRecGAN beats PG in cumulative reward"].differences == pytest.approx([1.0] * 3)
    assert by_claim["Not in the paper: IRecGAN beats the count of clicks"].differences == pytest.approx(
        [-1, -0.9, -0.8]
    )
    stable = [c for c in found if "stable" in c.claim]
    assert {c.label.split(", ")[-1] for c in stable} == {"pg against lstm", "irecgan against lstm"}
    assert all(c.differences == pytest.approx([0.9] * 3) for c in stable)
    assert all("max log" in c.label for c in stable)
    assert not any("LSTMD" in c.claim for c in found)  # it was not trained here


def test_the_report_tells_it_all() -> None:
    conclusion = conclude(SETTINGS, RESULTS)
    verdicts = {claim["claim"]: claim["verdict"] for claim in conclusion.json["claims"]}
    assert verdicts["IRecGAN beats PG in cumulative reward"] == "holds"
    assert verdicts["Not in the paper: IRecGAN beats the count of clicks"] == "does not hold"
    assert "softmax, random log of 200 sessions" in conclusion.text
    assert conclusion.html.count("<svg") == 2
    for name in ("oracle", "popularity", "irecgan"):
        assert name in conclusion.html


def test_sessions_that_were_cut_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Of one policy under one log; cells of earlier versions do not say, and nothing is told of them."""
    results = [(cell, result(cell)) for cell in cells(SETTINGS)]
    found = next(found for cell, found in results if (cell.row, cell.log) == ("pg", "max"))
    found["pg"]["sampled"]["cut"] = 7
    conclusion = conclude(SETTINGS, results)
    assert [record.message.split(": ")[0] for record in caplog.records] == ["softmax, max log of 200 sessions"]
    assert "up to 7 of 20000 sessions were cut after 1000 clicks" in caplog.text
    assert all("cut after 1,000 clicks" in told for told in (conclusion.text, conclusion.html))
    assert "cut after" not in conclude(SETTINGS, RESULTS).text
