import logging
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from test_observer import lab_of

from irecgan.data.batch import Sessions
from irecgan.models.networks import ModelName
from irecgan.training.lab import Lab
from irecgan.training.loop import run_phases
from irecgan.training.metrics import read_metrics
from irecgan.training.phases import Rounds, value_metrics
from irecgan.training.recipes import RECIPES, Recipe

Story = tuple[tuple[float, float], ...]
"""Predicted value and held-out loss of each unit."""

EXPLOITED: Story = ((3.0, 9.0), (3.5, 8.0), (4.2, 8.5), (4.4, 8.7), (4.3, 7.0))
BETTER: Story = ((3.0, 9.0), (3.5, 8.0), (4.2, 7.5))
WORSE: Story = ((3.0, 9.0), (3.5, 8.0), (3.4, 8.5))


@dataclass(frozen=True)
class Scripted:
    """A phase that learns nothing but the number of its unit, and tells a story."""

    story: Story
    name: str = "rounds"
    keeps: tuple[ModelName, ...] = ("agent",)
    teaches: tuple[ModelName, ...] = ("agent",)

    def limit(self, lab: Lab) -> int:
        return len(self.story)

    def unit(self, lab: Lab, index: int) -> dict[str, float]:
        predicted, loss = self.story[index]
        next(lab.agent.parameters()).data.fill_(index)
        return {"generated/value": predicted, "validation": loss}


def scripted(story: Story, *, stops: bool = True) -> Recipe:
    return Recipe("scripted", "", "agent", (Scripted(story),), stops_on_exploitation=stops)


def told(story: Story, folder: Path, *, stops: bool = True, given: bool | None = None) -> tuple[list[float], float]:
    """The word of the guard on each unit that was run, and the unit whose weights were kept."""
    recipe = scripted(story, stops=stops)
    lab = lab_of(recipe)
    lab = replace(lab, config=lab.config.over({"stop_on_exploitation": given}))
    run_phases(recipe, lab, folder)
    words = [float(line["generated/exploited"]) for line in read_metrics(folder)]
    return words, next(lab.agent.parameters()).flatten()[0].item()


def test_a_value_that_rises_while_evidence_falls_ends_the_rounds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "irecgan"):
        assert told(EXPLOITED, tmp_path) == ([0, 0, 1], 1)
    (record,) = caplog.records
    assert record.getMessage() == (
        "rounds: predicted value rose from 3.500 to 4.200 while the held-out loss rose from 8.0000 to 8.5000: "
        "the user model is exploited; stopped after unit 2, unit 1 is kept"
    )


@pytest.mark.parametrize(("story", "kept"), [(BETTER, 2), (WORSE, 1)])
def test_values_and_evidence_that_go_together_end_nothing(
    story: Story, kept: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(story, tmp_path) == ([0, 0, 0], kept)
    assert "exploited" not in caplog.text


@pytest.mark.parametrize(("stops", "given", "ends"), [(False, None, False), (False, True, True), (True, False, False)])
def test_the_setting_says_whether_to_stop_and_else_the_recipe(
    stops: bool, given: bool | None, ends: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    story = EXPLOITED[:4]
    words, kept = told(story, tmp_path, stops=stops, given=given)
    assert (words, kept) == ([0, 0, 1] if ends else [0, 0, 1, 1], 1)
    assert ("stopped after" in caplog.text) == ends
    assert "unit 1 is kept" in caplog.text  # told in any case


def test_the_recipes_of_the_paper_go_on() -> None:
    generating = {name for name, recipe in RECIPES.items() if any(isinstance(phase, Rounds) for phase in recipe.phases)}
    assert generating == {name for name, recipe in RECIPES.items() if not recipe.stops_on_exploitation}
    assert generating == {"lstmd", "pgu", "acu", "irecgan"}


def test_a_training_that_was_killed_when_it_stopped_stays_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = scripted(EXPLOITED)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("irecgan.training.loop._finish_phase", killed)
        with pytest.raises(KeyboardInterrupt):
            run_phases(recipe, lab_of(recipe), tmp_path)
    resumed = lab_of(recipe)
    run_phases(recipe, resumed, tmp_path)
    assert len(read_metrics(tmp_path)) == 3
    assert next(resumed.agent.parameters()).flatten()[0].item() == 1


def test_the_predicted_value_counts_clicks_and_rewards() -> None:
    steps = torch.tensor([0, 3, 4])  # two clicks and the end; an end at once
    made = Sessions(
        step_start=steps,
        item_start=torch.arange(5),
        item=torch.zeros(4, dtype=torch.int64),
        click=torch.tensor([0, 0, 1, 1]),
        position=torch.tensor([0, 0, -1, -1]),
        reward=torch.tensor([0.0, 1.0, 0.0, 0.0]),
        propensity=torch.full((4,), torch.nan),
        score=torch.ones(4),
        catalogue_size=1,
    )
    assert value_metrics(made, lambda_r=3.0) == {"generated/value": pytest.approx((1 + 4) / 2)}
