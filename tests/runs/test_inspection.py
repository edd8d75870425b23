"""Runs in words: contrasts by hand, and what the command says and refuses."""

import json
import math
from pathlib import Path

import pytest
import torch

import irecgan
from irecgan.cli import main
from irecgan.models.contrasts import contrasts, weights
from irecgan.models.terms import TERMS, Terms
from small_logs import TINY, small_log


def known(names: list[str], **values: float) -> Terms:
    """Terms whose weights are 0 but for ``values``, each with a standard error of .1, independent of the others."""
    terms = Terms(names)  # type: ignore[arg-type]
    terms.forget()
    terms.covariance.copy_(0.01 * torch.eye(len(terms.weight)))
    with torch.no_grad():
        for name, value in values.items():
            terms.weight[terms.places[name]] = value
    return terms


def test_a_contrast_is_the_ratio_of_chances_and_its_interval_that_of_the_difference() -> None:
    terms = known(["rank"])
    with torch.no_grad():
        terms.weight[0], terms.weight[4] = 1.0, -0.5
    fifth = next(c for c in contrasts(terms) if c.other == "at rank 5")
    assert fifth.ratio == pytest.approx(math.exp(1.5))
    assert fifth.error == pytest.approx(math.sqrt(0.02))
    assert fifth.interval == pytest.approx(tuple(math.exp(1.5 + sign * 1.96 * math.sqrt(0.02)) for sign in (-1, 1)))
    assert str(fifth) == "an item at rank 1 is 4.48 times as likely to be clicked as at rank 5 (95 %: 3.4 to 5.91)"


def test_what_goes_together_is_added() -> None:
    terms = known(["repeat"])
    with torch.no_grad():
        for name, value in {
            "touched last": 0.3,
            "clicked last": 0.2,
            "clicked before": 0.1,
            "log clicks before": 1,
        }.items():
            terms.weight[terms.places[name]] = value
    found = {c.one: c for c in contrasts(terms)}
    last = found["the item clicked last, in another list, without a reward,"]
    assert last.log_ratio == pytest.approx(0.6 + math.log(2))
    assert last.error == pytest.approx(0.1 * math.sqrt(3 + math.log(2) ** 2))


def test_what_the_log_does_not_tell_is_not_said() -> None:
    terms = known(["rank"])
    terms.covariance[1, 1] = 100
    unknown = [c.other for c in contrasts(terms) if not c.known]
    assert unknown == ["at rank 2"]


def test_weights_of_levels_are_measured_from_one_of_them() -> None:
    terms = known(["rank", "popularity"])
    with torch.no_grad():
        terms.weight[:3] = torch.tensor([2.0, 1.5, 1.0])
    rows = weights(terms)
    assert [row.value for row in rows[:3]] == pytest.approx([0, -0.5, -1])
    assert [row.error for row in rows[:3]] == pytest.approx([0, math.sqrt(0.02), math.sqrt(0.02)])
    assert (rows[-1].feature, rows[-1].against) == ("log clicks in the log", None)
    assert rows[-1].error == pytest.approx(0.1)


@pytest.mark.parametrize("name", TERMS)
def test_every_term_is_explained_where_it_is_alone(name: str) -> None:
    assert {c.term for c in contrasts(known([name]))} == {name}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    log = small_log(60)
    for recipe in ("terms", "pg"):
        irecgan.train(log, recipe=recipe, out=place / recipe, settings={**TINY, "user_epochs": 1, "agent_epochs": 1})
    return place


def test_a_run_is_told_from_a_log_and_described(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(runs / "terms")]) == 0
    text = capsys.readouterr().out
    assert "terms: recipe terms, seed 0" in text
    assert "an item at rank 1 is " in text
    assert "units=8" in text
    assert main(["inspect", str(runs / "pg")]) == 0
    plain = capsys.readouterr().out
    assert "ranks by: the agent model" in plain
    assert "times as likely" not in plain


def test_a_run_without_a_network_has_no_parameters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    irecgan.train(small_log(30), recipe="count", out=tmp_path / "count")
    assert main(["inspect", str(tmp_path / "count")]) == 0
    assert "ranks by: the popularity model; parameters: none" in capsys.readouterr().out


def test_the_json_of_a_run_has_every_weight(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(runs / "terms"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"]["origin"]["recipe"] == "terms"
    assert len(found["weights"]) == len(
        Terms([term for term in TERMS if term != "touches"]).weight
    )  # the log tells of none
    told = [c for c in found["contrasts"] if c["known"]]
    assert told
    for contrast in told:
        assert contrast["low"] <= contrast["ratio"] <= contrast["high"]
        assert contrast["one"] in contrast["text"]


def test_a_training_under_way_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "training.json").write_text("{}")
    assert main(["inspect", str(tmp_path)]) == 2
    assert "holds a training that is not finished" in capsys.readouterr().err
