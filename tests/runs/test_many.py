"""Slates after many histories: those that are recommended one by one, whoever works and in whatever chunks."""

from functools import partial
from pathlib import Path

import polars as pl
import pytest
import torch

import irecgan
from irecgan.cli import main
from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.execution.work_off import worked_off
from irecgan.policies.ranking import top_slate
from irecgan.runs.histories import Chunk, read_histories, write_recommended
from irecgan.runs.many import recommend_chunk
from irecgan.runs.trained import TrainedPolicy, load_policy
from small_logs import TINY, small_log

HISTORIES = [[1, 4], [], None, [7], [2, 99, 2, 5], [1, 4], [3, 3, 3]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    irecgan.train(small_log(), recipe="pg", out=out, settings={**TINY, "agent_learning_rate": 1e-2})
    return out


@pytest.fixture
def histories(tmp_path: Path) -> Path:
    path = tmp_path / "histories.parquet"
    pl.DataFrame({"user": list("abcdefg"), "history": HISTORIES}).write_parquet(path, row_group_size=3)
    return path


def test_they_are_the_slates_of_one_history_at_a_time(run: Path, histories: Path) -> None:
    policy: TrainedPolicy = load_policy(run)
    (chunk,) = read_histories(histories)
    found, unknown = recommend_chunk(run, "cpu", 3, None, chunk)
    assert unknown == 1
    assert found["user"].to_list() == list("abcdefg")
    for history, items, probabilities in zip(HISTORIES, found["items"], found["probabilities"], strict=True):
        alone = policy.recommend(history or [], 3)
        assert items.to_list() == alone.items
        assert probabilities.to_list() == pytest.approx(alone.probabilities, rel=1e-5)


def test_equal_scores_stay_in_the_order_of_the_catalogue() -> None:
    scores = torch.tensor([[0.0, 2.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 3.0, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    assert top_slate(scores, 3).tolist() == [[1, 2, 3], [0, 1, 2], [4, 3, 2]]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_all_formats_and_chunks_give_the_same_file(suffix: str, run: Path, histories: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(histories)
    path = tmp_path / f"other.{suffix}"
    match suffix:
        case "csv":
            frame.with_columns(pl.col("history").cast(pl.List(pl.String)).list.join(" ")).write_csv(path)
        case "jsonl":
            frame.write_ndjson(path)
        case _:
            frame.write_parquet(path)
    for name, source, rows in (("one", histories, 100), ("other", path, 2)):
        work = partial(recommend_chunk, run, "cpu", None, None)
        done = list(worked_off(Here(), work, read_histories(source, rows), lambda chunk: str(chunk.start)))
        parts = [(chunk, found) for chunk, (found, _) in reversed(done)]
        assert write_recommended(tmp_path / f"{name}.parquet", parts) == 7
    one, other = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("one", "other"))
    assert one.drop("probabilities").equals(other.drop("probabilities"))
    chances = [frame["probabilities"].explode().to_list() for frame in (one, other)]
    assert chances[0] == pytest.approx(chances[1], rel=1e-5)


def test_a_directory_has_its_columns_alone(histories: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    histories.rename(tmp_path / "parts" / "one.parquet")
    (chunk,) = read_histories(tmp_path / "parts")
    assert chunk.frame.columns == ["user", "history"]


def command(run: Path, histories: Path, out: Path, *options: str) -> list[str]:
    return ["recommend", str(run), "--histories", str(histories), "--out", str(out), *options]


def test_the_command_writes_them(
    run: Path, histories: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.parquet"
    assert main(command(run, histories, out, "-k", "2", "--workers", "1")) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: recommendations after 7 histories",
        "not in the catalogue, taken as clicks on an unknown item: 1 clicks",
    ]
    found = pl.read_parquet(out)
    assert found.columns == ["user", "history", "items", "probabilities"]
    assert set(found["items"].list.len()) == {2}


@pytest.mark.xdist_group("ray")
def test_a_cluster_gives_the_same_file(ray_address: str, run: Path, histories: Path, tmp_path: Path) -> None:
    assert main(command(run, histories, tmp_path / "here.parquet", "--workers", "1")) == 0
    assert main(command(run, histories, tmp_path / "there.parquet", "--ray", ray_address)) == 0
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"clicks": [[1]]}, "missing column history; found columns clicks"),
        ({"history": [1.5]}, "column history: found type Float64; expected lists of item ids"),
        ({"history": [[1.5]]}, "column history: found type List(Float64); expected lists of item ids"),
        ({"history": [["a"], ["b", " "]]}, "row 2: column history: found ['b', ' ']; expected no empty item id"),
        ({"history": [["a"], [None]]}, "row 2: column history: found [None]; expected no empty item id"),
        ({"history": [["a"]], "items": [1]}, "column items: is what recommendations are written to"),
    ],
)
def test_wrong_histories_are_named(
    frame: dict[str, object], message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.parquet"
    pl.DataFrame(frame).write_parquet(path)
    assert main(command(run, path, tmp_path / "out.parquet", "--workers", "1")) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: {message}")
    assert [found.name for found in tmp_path.iterdir()] == ["wrong.parquet"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "out.csv"], "out.csv: found suffix '.csv'; expected .parquet to write"),
        (["--out", "out.parquet", "-k", "0"], "k: found 0, expected at least 1, and whole"),
        (["--out", "out.parquet", "--history", "1"], "--histories: found together with --history;"),
        (["--out", "histories.parquet"], "--out histories.parquet: found the file of histories"),
        (["--out", "out.parquet", "--without-rank"], "--without-rank: expected with --candidates"),
        ([], "--histories: found without --out"),
    ],
)
def test_wrong_calls_are_named(
    options: list[str],
    message: str,
    run: Path,
    histories: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(histories.parent)
    assert main(["recommend", str(run), "--histories", str(histories), "--workers", "1", *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert [found.name for found in histories.parent.iterdir()] == ["histories.parquet"]


def test_a_damaged_row_group_is_named(histories: Path) -> None:
    data = bytearray(histories.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 60] = bytes(60)
    histories.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"histories\.parquet: row group \d"):
        list[Chunk](read_histories(histories))
