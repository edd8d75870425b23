import json
from pathlib import Path

import polars as pl
import pytest

from irecgan.cli import main
from irecgan.worlds.loading import load_world
from irecgan.worlds.mdp import MDPWorld, draw_world
from irecgan.worlds.shop import ShopWorld
from irecgan.worlds.shop_calibration import draw_shop

SMALL = ["--states", "3", "--items", "6", "--slate-size", "2"]


def simulate(out: Path, *options: str, sessions: int = 50) -> int:
    return main(["simulate", "--out", str(out), "--sessions", str(sessions), *options])


@pytest.mark.parametrize("policy", ["random", "max", "mix"])
def test_it_writes_the_log_and_the_world_beside_it(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "log.parquet"
    assert simulate(out, "--policy", policy, "--seed", "3", "--json", *SMALL) == 0
    report = json.loads(capsys.readouterr().out)
    frame = pl.read_parquet(out)
    assert report["sessions"] == frame["session_id"].n_unique() == 50
    assert report["cut"] == 0
    assert report["clicks"] == frame["click"].count()
    assert report["cumulative_reward"] == pytest.approx(frame["reward"].sum() / 50)
    assert {"session_id", "step", "slate", "click", "reward", "propensity"} <= set(frame.columns)
    drawn = draw_world("softmax", 3, 6, 2, seed=3)
    assert MDPWorld.load(tmp_path / "new" / "WORLD.json").spec == drawn.spec


def test_same_seed_same_log_and_the_world_may_be_there_already(tmp_path: Path) -> None:
    logs = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    for out, seed in zip(logs, ("1", "1", "2"), strict=True):
        options = SMALL if seed == "1" else ["--world", str(tmp_path / "WORLD.json")]
        assert simulate(out, "--policy", "mix", "--seed", seed, *options) == 0
    one, again, other = (pl.read_parquet(out) for out in logs)
    assert one.equals(again)
    assert not one.equals(other)


def test_a_given_world_is_not_written_again(tmp_path: Path) -> None:
    world = tmp_path / "mine.json"
    draw_world("dirichlet:0.1", 2, 4, 4, seed=9).save(world)
    out = tmp_path / "logs" / "log.csv"
    assert simulate(out, "--policy", "random", "--world", str(world)) == 0
    assert [path.name for path in out.parent.iterdir()] == ["log.csv"]
    slates = pl.read_csv(out)["slate"].cast(pl.String).str.split(" ")
    assert set(slates.list.sort().list.join(" ")) == {"0 1 2 3"}


def test_a_log_without_any_click_is_a_log(tmp_path: Path) -> None:
    world = tmp_path / "none.json"
    fields = {"reward": [[0, 0]], "transition": [[[1], [1]]], "slate_size": 1, "start_state": 0}
    world.write_text(json.dumps(fields))
    out = tmp_path / "log.parquet"
    assert simulate(out, "--policy", "mix", "--world", str(world)) == 0
    assert pl.read_parquet(out)["click"].null_count() == 50


def test_endless_sessions_are_cut_and_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = tmp_path / "sure.json"
    fields = {"reward": [[1, 1]], "transition": [[[1], [1]]], "slate_size": 1, "start_state": 0}
    world.write_text(json.dumps(fields))
    out = tmp_path / "log.parquet"
    assert simulate(out, "--policy", "max", "--world", str(world), "--max-length", "7") == 0
    assert pl.read_parquet(out)["click"].count() == 350
    assert "; 50 sessions were cut" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy", "best"], "--policy: found 'best', expected random, max, mix or the folder"),
        (["--policy", "max", "--sessions", "0"], "--sessions: found 0, expected at least 1"),
        (["--policy", "max", "--max-length", "0"], "--max-length: found 0, expected at least 1"),
        (["--policy", "max", "--law", "flat"], "error: --law: found 'flat', expected 'softmax' or"),
        (["--policy", "max", "--items", "5"], "error: --slate-size: found 10, expected at most the 5 items"),
        (["--policy", "max", "--slate-size", "0"], "error: --slate-size: found 0, expected at least 1"),
        (["--policy", "max", "--states", "0"], "error: --states: found 0, expected at least 1"),
        (["--policy", "max", "--world", "none.json"], "none.json: no such file"),
        (
            ["--policy", "max", "--world", "w.json", "--slate-size", "3"],
            "--slate-size: found together with --world",
        ),
        (["--policy", "max", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
        ([], "the following arguments are required: --policy"),
    ],
)
def test_wrong_options_are_named_in_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path / "log.parquet", *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["log.txt", "new/log.csv.gz"])
def test_a_log_of_no_known_form_is_refused_before_any_session_is_played(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("irecgan.commands.simulate.simulated_log", lambda *_, **__: 1 / 0)
    assert simulate(tmp_path / name, "--policy", "max", *SMALL) == 2
    assert f"{name}: found suffix '{Path(name).suffix}'; expected .parquet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_another_world_or_log_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path / "a.parquet", "--policy", "max", *SMALL) == 0
    assert simulate(tmp_path / "b.parquet", "--policy", "max", "--seed", "1", *SMALL) == 2
    error = capsys.readouterr().err
    assert "WORLD.json: found another world than the one drawn by --seed 1 and its options" in error
    assert f"give --world {tmp_path / 'WORLD.json'} --seed 1 alone" in error
    assert simulate(tmp_path / "a.parquet", "--policy", "max", *SMALL) == 2
    assert "a.parquet: exists already" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["WORLD.json", "a.parquet"]
    told = ["--world", str(tmp_path / "WORLD.json"), "--seed", "1"]
    assert simulate(tmp_path / "b.parquet", "--policy", "max", *told) == 0


SHOP = ["--law", "shop", "--items", "250"]


@pytest.mark.parametrize("policy", ["logged", "random"])
def test_a_shop_logs_its_lists_in_shown_order(policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "log.parquet"
    assert simulate(out, "--policy", policy, "--seed", "3", "--json", *SHOP, sessions=300) == 0
    report = json.loads(capsys.readouterr().out)
    frame = pl.read_parquet(out)
    assert (report["sessions"], report["clicks"]) == (300, frame["click"].count())
    assert frame.columns == ["session_id", "step", "slate", "click", "reward"]
    sizes = frame["slate"].list.len()
    assert (sizes.min(), sizes.is_between(10, 100).all()) == (10, True)
    assert frame["slate"].explode().is_between(0, 249).all()
    assert (frame["slate"].list.n_unique() == sizes).all()
    clicked = frame.filter(pl.col("click").is_not_null())
    assert clicked.select(pl.col("slate").list.contains(pl.col("click")).all()).item()
    assert len(frame) - len(clicked) == 300
    assert set(frame["reward"].unique()) <= {0, 1}
    world = load_world(tmp_path / "WORLD.json")
    assert isinstance(world, ShopWorld)
    assert world.spec == draw_shop(250, seed=3).spec


def test_same_seed_same_log_of_a_shop(tmp_path: Path) -> None:
    logs = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    for out, options in zip(logs, (SHOP, SHOP, ["--world", str(tmp_path / "WORLD.json"), "--seed", "1"]), strict=True):
        assert simulate(out, "--policy", "logged", *options) == 0
    one, again, other = (pl.read_parquet(out) for out in logs)
    assert one.equals(again)
    assert not one.equals(other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--policy", "logged", "--states", "3"], "--states: found together with --law shop, expected --items alone"),
        (["--policy", "logged", "--slate-size", "3"], "--slate-size: found together with --law shop"),
        (["--policy", "max"], "--policy: found 'max', expected logged, random or the folder of a trained policy"),
        (["--policy", "logged", "--items", "100"], "error: --items: found 100, expected at least 200"),
    ],
)
def test_options_that_no_shop_has_are_named(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path / "log.parquet", *SHOP, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_a_shop_is_no_policy_of_another_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path / "log.parquet", "--policy", "logged", *SMALL) == 2
    assert "--policy: found 'logged', expected random, max, mix or the folder" in capsys.readouterr().err
