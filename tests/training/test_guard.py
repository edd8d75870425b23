import logging
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from test_observer import lab_of

from irecgan.data.batch import Sessions
from irecgan.models.networks import ModelName
from irecgan.training.lab import Lab
from irecgan.training.loop import run_phases
from irecgan.training.phases import value_metrics
from irecgan.training.recipes import Recipe


@dataclass(frozen=True)
class Scripted:
    """A phase that learns nothing and tells a story."""

    story: tuple[tuple[float, float], ...]  # predicted value and held-out loss of each unit
    name: str = "rounds"
    keeps: tuple[ModelName, ...] = ("agent",)
    teaches: tuple[ModelName, ...] = ("agent",)

    def limit(self, lab: Lab) -> int:
        return len(self.story)

    def unit(self, lab: Lab, index: int) -> dict[str, float]:
        predicted, loss = self.story[index]
        return {"generated/value": predicted, "validation": loss}


@pytest.mark.parametrize(
    ("story", "told"),
    [
        (((3.0, 9.0), (3.5, 8.0), (4.2, 8.5), (4.4, 8.7)), "rose from 3.500 to 4.400"),
        (((3.0, 9.0), (3.5, 8.0), (4.2, 7.5)), None),  # both get better
        (((3.0, 9.0), (3.5, 8.0), (3.4, 8.5)), None),  # both get worse
    ],
)
def test_a_value_that_rises_while_evidence_falls_is_told(
    story: tuple[tuple[float, float], ...], told: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Recipe("scripted", "", "agent", (Scripted(story),))
    with caplog.at_level(logging.WARNING, "irecgan"):
        run_phases(recipe, lab_of(recipe), tmp_path)
    assert ("exploited" in caplog.text) == (told is not None)
    if told is not None:
        assert told in caplog.text
        assert "unit 1 is kept" in caplog.text


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
