import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

import irecgan
from irecgan.errors import UserError
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.metrics import best_losses
from irecgan.training.tuning import train_best
from small_logs import TINY, small_log

RATES = [{"agent_learning_rate": rate} for rate in (1e-5, 1e-2)]


def test_the_run_of_the_lowest_held_out_loss_is_kept_and_what_was_tried_is_written_down(tmp_path: Path) -> None:
    log = small_log(200)
    for i, rate in enumerate(RATES):
        irecgan.train(log, recipe="gru4rec", out=tmp_path / str(i), settings={**TINY, **rate})
    losses = [best_losses(tmp_path / str(i))["fit-agent"] for i in range(2)]
    assert losses[1] < losses[0]
    policy = train_best(log, out=tmp_path / "best", recipe="gru4rec", candidates=RATES, settings=TINY)
    kept, second = (load_file(tmp_path / name / "agent.safetensors") for name in ("best", "1"))
    assert all((kept[key] == second[key]).all() for key in kept)
    assert policy.name == "best"
    written = json.loads((tmp_path / "best" / "tuning.json").read_text())
    tried = [{"settings": rate, "validation": loss} for rate, loss in zip(RATES, losses, strict=True)]
    assert written == {"tried": tried, "kept": 1}
    assert {path.name for path in (tmp_path / "best").iterdir()} == {
        "agent.safetensors", "items.parquet", "metrics.jsonl", "run.json", "tensorboard", "tuning.json",
    }  # fmt: skip


def test_the_same_call_keeps_the_same_run(tmp_path: Path) -> None:
    log, runs = small_log(), [tmp_path / name for name in ("a", "b")]
    for run in runs:
        train_best(log, out=run, recipe="pg", candidates=RATES, settings=TINY, seed=4)
    assert len({(run / "agent.safetensors").read_bytes() for run in runs}) == 1
    assert len({(run / "tuning.json").read_text() for run in runs}) == 1


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "candidates: found none"),
        ([{"agent_learning_rate": 0.1}, {"gamma": 0.5}], r"found gamma of \[0\.5, 0\.9\], expected one"),
        ([{"agent_learning_rat": 0.1}], "agent_learning_rat"),
    ],
)
def test_wrong_candidates_are_named_and_leave_nothing(
    candidates: list[dict[str, float]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        train_best(small_log(), out=tmp_path / "run", recipe="pg", candidates=candidates, settings=TINY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("recipe", "candidates", "named"),
    [
        ("slate", [{}, {"slate_likelihood": "set"}], r"slate_likelihood of \['ordered', 'set'\]"),
        ("slate", [{}, {"softmax": "sampled"}], r"slate_likelihood of \['ordered', 'set'\]"),
        ("latent-distilled", [{}, {"softmax": "sampled"}], "slate_likelihood"),
        ("latent-distilled", [{}, {"slate_size": 2}], r"slate_size of \[2, None\]"),
        ("latent-distilled", [{"max_length": 5}, {"max_length": 6}], "max_length"),
        ("latent-distilled", [{"distillation_held_out": 5}, {"distillation_held_out": 6}], "distillation_held_out"),
    ],
)
def test_candidates_judged_by_other_slates_are_refused(
    recipe: str, candidates: list[dict[str, object]], named: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"^candidates: found {named}"):
        train_best(small_log(), out=tmp_path / "run", recipe=recipe, candidates=candidates, settings=TINY)
    assert not list(tmp_path.iterdir())


def test_an_agent_judged_by_clicks_may_be_tuned_in_how_it_shows_and_samples(tmp_path: Path) -> None:
    """And one judged by slates as sets in both ways of sampling."""
    asked: list[dict[str, object]] = [{"softmax": "full", "slate_size": 2}, {"softmax": "sampled", "negatives": 4}]
    few: dict[str, object] = {**TINY, "agent_epochs": 1}
    train_best(small_log(), out=tmp_path / "pg", recipe="pg", candidates=asked, settings=few)
    few["slate_likelihood"] = "set"
    train_best(small_log(), out=tmp_path / "slate", recipe="slate", candidates=asked, settings=few)


@pytest.mark.parametrize("recipe", ["count", "auto"])
def test_recipes_without_a_held_out_loss_are_refused(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^train_best: found recipe {recipe}, which has no held-out loss; expected"):
        train_best(small_log(), out=tmp_path / "run", recipe=recipe, settings=TINY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_configuration(preset: str) -> None:
    assert TrainingConfig.parse(["batch_size=7"], preset).batch_size == 7
