import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import irecgan
from interrupting import interrupted_after
from irecgan.data.log import SessionLog
from irecgan.data.prepare import prepare
from irecgan.errors import UserError
from irecgan.runs.manifest import Manifest
from irecgan.runs.trained import TrainedPolicy
from irecgan.training import loop
from irecgan.training.config import PRESETS
from irecgan.training.metrics import read_metrics
from irecgan.training.recipes import RECIPES
from small_logs import TINY, small_log

LARGE = {**PRESETS["large"], **TINY, "negatives": 4}


def weights(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {path.stem: load_file(path) for path in sorted(run.glob("*.safetensors"))}


def assert_same(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for network, tensors in a.items():
        for key, value in tensors.items():
            assert torch.equal(value, b[network][key]), f"{network}.{key}"


def measured(run: Path) -> list[dict[str, float | str]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read_metrics(run)]


SIZES = {"small": TINY, "large": LARGE}
TRAINED = pytest.mark.xdist_group("trained")  # whoever has trained a recipe has its run for all tests


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], tuple[Path, TrainedPolicy]]:
    """What each recipe learns that nothing interrupts."""

    @cache
    def run(recipe: str, size: str) -> tuple[Path, TrainedPolicy]:
        out = tmp_path_factory.mktemp("runs") / recipe
        return out, irecgan.train(small_log(), recipe=recipe, out=out, settings=SIZES[size])

    return run


@TRAINED
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_gives_a_run_with_the_networks_that_learned(
    recipe: str, size: str, trained: Callable[[str, str], tuple[Path, TrainedPolicy]]
) -> None:
    out, policy = trained(recipe, size)
    assert len(policy.recommend().items) == 3
    decision = Manifest.read(out).decision
    learned = RECIPES[decision.learned if decision and RECIPES[recipe].chooses else recipe]
    assert set(weights(out)) == set(learned.teaches)
    assert not (out / loop.CHECKPOINT).exists()
    gate = RECIPES[recipe].gate
    phases = [phase.name for phase in learned.phases]
    found = list(dict.fromkeys(line["phase"] for line in read_metrics(out)))
    assert found == (phases if gate is None else [gate.name, *phases])


@pytest.mark.parametrize("recipe", ["irecgan", "gru4rec"])
def test_same_seed_same_weights_another_seed_others(recipe: str, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        irecgan.train(small_log(), recipe=recipe, out=tmp_path / name, seed=seed, settings=TINY)
    assert_same(tmp_path / "a", tmp_path / "b")
    first, other = (load_file(tmp_path / name / "agent.safetensors") for name in ("a", "c"))
    assert not torch.equal(first["output.weight"], other["output.weight"])


@TRAINED
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("recipe", "units"),
    [
        *((recipe, units) for recipe in ("pgu", "irecgan") for units in (1, 4, 7, 8)),
        ("slate", 2),
        ("latent", 2),
        ("linear", 3),
        ("boosting", 1),
    ],
)
def test_a_training_that_was_killed_ends_with_the_same_weights(
    recipe: str,
    units: int,
    size: str,
    trained: Callable[[str, str], tuple[Path, TrainedPolicy]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, settings = small_log(), SIZES[size]
    whole, _ = trained(recipe, size)
    with interrupted_after(units, monkeypatch):
        irecgan.train(log, recipe=recipe, out=tmp_path / "killed", settings=settings)
    with pytest.raises(UserError, match="--resume"):
        irecgan.train(log, recipe=recipe, out=tmp_path / "killed", settings=settings)
    irecgan.train(log, recipe=recipe, out=tmp_path / "killed", settings=settings, resume=True)
    assert_same(whole, tmp_path / "killed")
    assert measured(whole) == measured(tmp_path / "killed")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("training.json", '{"a": 1}', r"training\.json: recipe: Field required"),
        ("checkpoint.safetensors", "", r"checkpoint\.safetensors: not a checkpoint of this training"),
        ("checkpoint.safetensors", None, r"checkpoint\.safetensors: not a checkpoint of this training"),
    ],
)
def test_a_damaged_checkpoint_is_named(
    name: str, content: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, log = tmp_path / "run", small_log()
    with monkeypatch.context() as patch:
        patch.setattr("irecgan.training.train._finish", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            irecgan.train(log, recipe="pg", out=out, settings=TINY)
    if content is None:  # of other networks
        save_file({"x": torch.zeros(1)}, out / name, {"progress": "{}"})
    else:
        (out / name).write_text(content)
    with pytest.raises(UserError, match=message):
        irecgan.train(log, recipe="pg", out=out, settings=TINY, resume=True)
    assert (out / name).exists()


def test_a_training_does_not_go_on_with_other_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers for other items: nothing but the ids tells one log from the other."""
    log = small_log()
    other = log.frame.with_columns(pl.col("slate").list.eval(pl.element() + 1_000), pl.col("click") + 1_000)
    with monkeypatch.context() as patch:
        patch.setattr("irecgan.training.train._finish", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            irecgan.train(log, recipe="pg", out=tmp_path / "run", settings=TINY)
    with pytest.raises(UserError, match=r"--resume: .*training\.json began with log='"):
        irecgan.train(SessionLog(other), recipe="pg", out=tmp_path / "run", settings=TINY, resume=True)
    irecgan.train(log, recipe="pg", out=tmp_path / "run", settings=TINY, resume=True)


def test_a_training_killed_at_its_first_or_its_last_breath_can_be_resumed(tmp_path: Path) -> None:
    out, log = tmp_path / "run", small_log()
    out.mkdir()
    (out / ".training.json.x1y2.json").write_text("{")
    irecgan.train(log, recipe="pg", out=out, settings=TINY, resume=True)
    whole = sorted(path.name for path in out.iterdir())
    for name in ("training.json", loop.CHECKPOINT):
        (out / name).write_text("left behind")
    irecgan.train(log, recipe="pg", out=out, settings=TINY, resume=True)
    assert sorted(path.name for path in out.iterdir()) == whole


@pytest.mark.parametrize("large", [{"units": 10**12}, {"units": 10**12, "embedding": 10**12}])
def test_networks_too_large_for_memory_are_named_and_leave_nothing(large: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not fit into memory"):
        irecgan.train(small_log(), recipe="pg", out=tmp_path / "run", settings={**TINY, **large})
    assert not list(tmp_path.iterdir())


def test_damaged_metrics_are_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"phase": "x"}\n{"phase')
    with pytest.raises(UserError, match=r"metrics\.jsonl: row 2: found"):
        read_metrics(tmp_path)


def test_resume_of_a_finished_training_changes_nothing(tmp_path: Path) -> None:
    out, log = tmp_path / "run", small_log()
    irecgan.train(log, recipe="pg", out=out, settings=TINY)
    before = (out / "run.json").read_bytes()
    irecgan.train(log, recipe="pg", out=out, settings=TINY, resume=True)
    assert (out / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed"), ({"recipe": "lstm"}, "recipe"), ({"settings": {**TINY, "units": 9}}, "units")],
)
def test_resume_refuses_another_training(change: dict[str, object], named: str, tmp_path: Path) -> None:
    out, log = tmp_path / "run", small_log()
    irecgan.train(log, recipe="pg", out=out, settings=TINY)
    arguments: dict[str, object] = {"recipe": "pg", "settings": TINY, **change}
    with pytest.raises(UserError, match=named):
        irecgan.train(log, out=out, resume=True, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="log"):
        irecgan.train(small_log(seed=9), recipe="pg", out=out, settings=TINY, resume=True)


def test_out_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UserError, match="exists already"):
        irecgan.train(small_log(), recipe="pg", out=tmp_path, settings=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unit": 3}, "unit"),
        ({"units": 0}, "units"),
        ({"units": 2**63}, f"setting units: found {2**63}: Input should be less than or equal to"),
        ({"in_memory_steps": 10**30}, "setting in_memory_steps: found 1"),
        ({"gamma": 1.5}, "gamma"),
        ({"cell": "rnn"}, "cell"),
        ({"terms_prior": 0}, r"setting terms_prior: found 0: Input should be greater than 0"),
    ],
)
def test_wrong_settings_are_named_and_leave_nothing(settings: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        irecgan.train(small_log(), recipe="pg", out=tmp_path / "run", settings=settings)
    assert not list(tmp_path.iterdir())


def test_divergence_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    wild = {**TINY, "user_learning_rate": 1e30}
    with pytest.raises(UserError, match="not finite"):
        irecgan.train(small_log(), recipe="lstm", out=tmp_path / "new" / "run", settings=wild)
    assert not list(tmp_path.iterdir())


def test_divergence_is_told_with_the_course_that_led_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([2.0, 40.0, float("nan")])
    monkeypatch.setattr("irecgan.training.phases.mean_loss", lambda *_, **__: next(losses))
    with pytest.raises(UserError, match=r"^fit-user 2: user/validation is not finite \(2 -> 40 -> nan\); try lower"):
        irecgan.train(small_log(), recipe="lstm", out=tmp_path / "run", settings=TINY)


def test_logs_with_nothing_to_learn_from_are_refused(tmp_path: Path) -> None:
    columns = {"session_id": [1, 2, 3], "step": [0, 0, 0], "slate": [["a", "b"]] * 3}
    silent = SessionLog.from_frame(pl.DataFrame({**columns, "click": pl.Series([None] * 3, dtype=pl.String)}))
    with pytest.raises(UserError, match="column click"):
        irecgan.train(silent, recipe="pg", out=tmp_path / "run", settings=TINY)
    alone = pl.DataFrame({"session_id": [1, 2], "step": [0, 0], "slate": [["a"], ["a"]], "click": ["a", "a"]})
    with pytest.raises(UserError, match="found only item"):
        irecgan.train(SessionLog.from_frame(alone), recipe="pg", out=tmp_path / "run", settings=TINY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["lstm", "pg", "latent", "linear", "count", "auto"])
def test_logs_whose_clicks_are_all_held_out_are_refused(recipe: str, tmp_path: Path) -> None:
    clicks = pl.Series(["a"] + [None] * 11, dtype=pl.String)
    columns = {"session_id": range(12), "step": [0] * 12, "slate": [["a", "b"]] * 12, "click": clicks}
    log, settings = SessionLog.from_frame(pl.DataFrame(columns)), {**TINY, "validation_share": 0.5}
    with pytest.raises(UserError, match=r"^log: column click: found no click outside the 6 sessions held out; "):
        irecgan.train(log, recipe=recipe, out=tmp_path / "run", settings=settings)
    assert not list(tmp_path.iterdir())
    policy = irecgan.train(log, recipe="pg", validation=log, out=tmp_path / "run", settings=settings)
    assert len(policy.recommend().items) == 2


def test_sessions_of_one_step_and_silent_ends_are_learnt(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "session_id": range(20),
            "step": [0] * 20,
            "slate": [["a", "b"], ["b", "c", "d"]] * 10,
            "click": ["a", "c"] * 10,
            "reward": [1.5, -2.0] * 10,
        }
    )
    policy = irecgan.train(SessionLog.from_frame(frame), recipe="irecgan", out=tmp_path / "run", settings=TINY)
    assert not policy.final_slates
    assert sorted(policy.recommend(k=10).items, key=str) == ["a", "b", "c", "d"]


def test_a_prepared_directory_gives_its_parts(tmp_path: Path) -> None:
    small_log(sessions=80).write(tmp_path / "log.parquet")
    prepare("log", [tmp_path / "log.parquet"], tmp_path / "prepared")
    train, validation = (tmp_path / "prepared" / f"{part}.parquet" for part in ("train", "validation"))
    irecgan.train(tmp_path / "prepared", recipe="pg", out=tmp_path / "whole", settings=TINY)
    irecgan.train(train, validation=validation, recipe="pg", out=tmp_path / "parts", settings=TINY)
    assert_same(tmp_path / "whole", tmp_path / "parts")
    other = irecgan.train(tmp_path / "prepared", validation=train, recipe="pg", out=tmp_path / "other", settings=TINY)
    assert other.catalogue.digest() == irecgan.load_policy(tmp_path / "whole").catalogue.digest()
    assert measured(tmp_path / "other") != measured(tmp_path / "whole")


def test_generated_clicks_earn_what_all_logged_ones_do(tmp_path: Path) -> None:
    reward = pl.when(pl.col("click").is_not_null()).then(0.01).otherwise(0.0)
    log = SessionLog.from_frame(small_log().frame.with_columns(reward=reward))
    irecgan.train(log, recipe="pgu", out=tmp_path / "run", settings={**TINY, "lambda_r": 100.0})
    assert Manifest.read(tmp_path / "run").reward_law.kind == "constant"
    rounds = [line for line in read_metrics(tmp_path / "run") if line["phase"] == "rounds"]
    assert [line["generated/value"] for line in rounds] == pytest.approx(
        [2 * line["generated/clicks"] for line in rounds]
    )


def test_metrics_are_one_json_object_a_line(tmp_path: Path) -> None:
    irecgan.train(small_log(), recipe="irecgan", out=tmp_path / "run", settings=TINY)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    health = json.loads(lines[-1])
    assert {
        "discriminator/accuracy",
        "generated/score_mean",
        "generated/score_std",
        "generated/clicks",
    } <= health.keys()
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    shown = board.Scalars("discriminator/accuracy")
    assert shown[-1].step == len(lines) - 1
    assert shown[-1].value == pytest.approx(health["discriminator/accuracy"])
