from pathlib import Path

import pytest
import torch

import irecgan
from irecgan.cli import main
from irecgan.devices import find_device
from irecgan.errors import UserError
from irecgan.policies.elsewhere import Elsewhere
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import rollout
from small_logs import TINY, small_log, small_world

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pg"
    irecgan.train(small_log(), recipe="pg", out=out, settings=TINY)
    return out


@no_gpu
@pytest.mark.parametrize("command", [["recommend"], ["evaluate", "--log", "log.parquet"]])
def test_an_absent_device_is_said_in_one_line(
    command: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = command
    assert main([name, str(run), *options, "--device", "cuda"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("error: --device cuda: found no CUDA device")
    assert len(err.splitlines()) == 1


@no_gpu
def test_a_training_on_an_absent_device_begins_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_log().write(tmp_path / "log.parquet")
    argv = ["train", str(tmp_path / "log.parquet"), "--recipe", "pg", "--out", str(tmp_path / "run")]
    assert main([*argv, "--device", "cuda"]) == 2
    assert capsys.readouterr().err.startswith("error: --device cuda: found no CUDA device")
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


@pytest.mark.parametrize("recipe", ["latent", "linear", "auto"])
def test_what_is_fitted_is_fitted_on_the_cpu(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a GPU, which nothing may touch."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=f"recipe {recipe}: found --device cuda; it is fitted on the cpu"):
        irecgan.train(small_log(), recipe=recipe, out=tmp_path / "run", settings=TINY, device="cuda")
    assert not (tmp_path / "run").exists()
    if recipe == "linear":
        assert irecgan.train(small_log(), recipe=recipe, out=tmp_path / "run", device="auto")


def test_a_device_of_no_such_name_is_refused() -> None:
    with pytest.raises(UserError, match="--device tpu: no such device; expected one of cpu, cuda, auto"):
        find_device("tpu")


@no_gpu
def test_auto_is_the_cpu_without_a_gpu(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", str(run), "--device", "auto"]) == 0
    first = capsys.readouterr().out
    assert main(["recommend", str(run)]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("sampled", [False, True])
def test_a_ranker_elsewhere_plays_the_same_sessions(sampled: bool, run: Path) -> None:
    ranker, world = irecgan.load_policy(run).ranker, small_world()
    played = [
        rollout(RankingPolicy(r, 3, sampled=sampled), world, 50, max_length=20, generator=torch.Generator())
        for r in (ranker, Elsewhere(ranker, torch.device("cpu")))
    ]
    assert torch.equal(played[0].slate, played[1].slate)
    assert torch.equal(played[0].click, played[1].click)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_recommends_and_plays_what_the_cpu_does(run: Path) -> None:
    here, there = irecgan.load_policy(run), irecgan.load_policy(run, "cuda")
    assert here.recommend([1, 2], 3).items == there.recommend([1, 2], 3).items
    assert here.rerank([1], [3, 2, 99]).items == there.rerank([1], [3, 2, 99]).items
    world = small_world()
    one, other = (irecgan.evaluate(policy, world=world, sessions=200).to_json() for policy in (here, there))
    assert one["runs"]["pg"]["clicks"] == pytest.approx(other["runs"]["pg"]["clicks"], rel=0.05)
