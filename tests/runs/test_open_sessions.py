"""The last lists of sessions under way are ranked as the evaluation ranks them, by all that the log tells."""

from pathlib import Path

import polars as pl
import pytest
import torch

import irecgan
from irecgan.cli import main
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.runs.open_sessions import rerank_sessions
from irecgan.runs.trained import TrainedPolicy, load_policy
from small_logs import TINY, small_log

pytestmark = pytest.mark.xdist_group("open sessions")  # whoever has the runs has them for all tests


def eventful(sessions: int, seed: int) -> pl.DataFrame:
    """A log in which lists come again, clicks have rewards, and other items than the clicked ones were touched."""
    frame = small_log(sessions, seed=seed).frame
    draws = torch.Generator().manual_seed(seed)
    again = pl.Series((torch.rand(len(frame), generator=draws) < 0.5).tolist())
    touched = pl.Series(torch.randint(8, (len(frame),), generator=draws).tolist())
    first = pl.col("slate").first().over("session_id")
    stays = again & first.list.contains(pl.col("click"))
    return frame.with_columns(
        slate=pl.when(stays).then(first).otherwise(pl.col("slate")),
        last_touched=pl.when(pl.col("step") > 0).then(touched),
        touched_between=pl.when(~again).then(pl.col("slate").list.head(2)),
        touched_by_user=pl.when(again).then(pl.col("slate").list.head(1)),
        reward=pl.when(pl.col("click") % 2 == 0).then(1.0).otherwise(0.0),
        device=pl.when(again).then(pl.lit("tv")).otherwise(pl.lit("phone")),
    ).drop("propensity", strict=False)


def opened(frame: pl.DataFrame) -> tuple[SessionLog, pl.DataFrame]:
    """The sessions until their last click, which is taken out of them; and those clicks."""
    until = frame.filter(pl.col("click").is_not_null())
    last = (pl.col("session_id") != pl.col("session_id").shift(-1)).fill_null(value=True)
    hidden = until.with_columns(click=pl.when(~last).then("click"), reward=pl.when(last).then(0.0).otherwise("reward"))
    return SessionLog.from_frame(hidden), until.filter(last).select("session_id", "click")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainedPolicy]:
    home = tmp_path_factory.mktemp("runs")
    log = SessionLog.from_frame(eventful(80, seed=0))
    given = {
        "linear": ("linear", {}),
        "latent": ("latent", {}),
        "pg": ("pg", {**TINY, "context_features": "device"}),
    }
    return {
        name: irecgan.train(log, recipe=recipe, out=home / name, settings=settings)
        for name, (recipe, settings) in given.items()
    }


@pytest.mark.parametrize("name", ["linear", "latent", "pg"])
@pytest.mark.parametrize("ranked", [True, False])
def test_lists_are_ranked_as_the_evaluation_ranks_them(name: str, ranked: bool, runs: dict[str, TrainedPolicy]) -> None:
    frame, policy = eventful(30, seed=1), runs[name]
    log, clicks = opened(frame)
    answer = rerank_sessions(policy, log, ranked=ranked)
    whole = encode(SessionLog.from_frame(frame), policy.catalogue, context=policy.context)
    batch = whole.batch(torch.arange(len(whole)))
    scores = torch.full(batch.slate.shape, -torch.inf)
    scores[batch.real] = policy.score_slates(batch, ranked=ranked).float()
    by_session = dict(zip(frame["session_id"].unique(maintain_order=True), range(len(whole)), strict=True))
    assert len(answer) == len(clicks) > 20
    assert answer["session_id"].to_list() == clicks["session_id"].to_list()
    for session, items, chances in answer.iter_rows():
        row = by_session[session]
        at = int(batch.clicked[row].sum()) - 1
        order = scores[row, at].argsort(descending=True, stable=True)
        assert items == policy.catalogue.ids_of(batch.slate[row, at][order])
        assert chances == pytest.approx(scores[row, at].softmax(0)[order].tolist(), abs=1e-5)


def test_more_than_the_clicks_is_read(runs: dict[str, TrainedPolicy]) -> None:
    log, _ = opened(eventful(30, seed=1))
    policy = runs["linear"]
    answer = rerank_sessions(policy, log)
    by_clicks = [
        policy.rerank(session["click"].drop_nulls().to_list(), session["slate"][-1].to_list()).items
        for session in log.frame.partition_by("session_id", maintain_order=True)
    ]
    assert answer["items"].to_list() != by_clicks


def test_unknown_items_come_last_and_lists_keep_their_lengths(runs: dict[str, TrainedPolicy]) -> None:
    frame = pl.DataFrame(
        {
            "session_id": ["b", "a", "a", "c"],
            "step": [0, 0, 1, 0],
            "slate": [[99, 3, 98], [1, 2], [2, 97, 5, 4, 1], [98, 99]],
            "click": [None, 2, None, None],
            "device": ["tv", "tv", None, "phone"],
        }
    )
    policy = runs["pg"]
    answer = rerank_sessions(policy, SessionLog.from_frame(frame))
    assert answer["session_id"].to_list() == ["b", "a", "c"]
    b, a, c = answer["items"].to_list()
    assert b == [3, 99, 98]
    assert sorted(a[:4]) == [1, 2, 4, 5]
    assert a[4] == 97
    assert c == [98, 99]
    assert answer["probabilities"].to_list()[0] == [1, 0, 0]
    assert answer["probabilities"].to_list()[2] == [0, 0]
    alone = rerank_sessions(policy, SessionLog.from_frame(frame[1:3]))
    assert alone["items"].to_list() == [a]


def test_the_command_writes_them(
    runs: dict[str, TrainedPolicy], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, _ = opened(eventful(10, seed=2))
    run = tmp_path / "run"
    irecgan.train(SessionLog.from_frame(eventful(40, seed=0)), recipe="linear", out=run)
    log.write(tmp_path / "open.parquet")
    call = ["recommend", str(run), "--sessions", str(tmp_path / "open.parquet"), "--out", str(tmp_path / "out.parquet")]
    assert main(call) == 0
    assert f"the last lists of {log.sessions} sessions" in capsys.readouterr().out
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert written.equals(rerank_sessions(load_policy(run), log))
    assert main([*call, "--without-rank"]) == 0
    assert not pl.read_parquet(tmp_path / "out.parquet").equals(written)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--sessions: found without --out"),
        (["--out", "out.csv"], "out.csv: found suffix '.csv'; expected .parquet"),
        (["--out", "log.parquet"], "--out log.parquet: found the file of sessions"),
        (["--out", "o.parquet", "-k", "3"], "--sessions: found together with -k"),
        (["--out", "o.parquet", "--context", "device=tv"], "--sessions: found together with --context"),
        (["--out", "o.parquet"], "log.parquet: column click: session 1 ends with a click on"),
    ],
)
def test_wrong_calls_are_named(
    options: list[str],
    message: str,
    runs: dict[str, TrainedPolicy],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    eventful(10, seed=2).filter(pl.col("click").is_not_null()).write_parquet("log.parquet")
    monkeypatch.setattr("irecgan.commands.recommend.load_policy", lambda *_: runs["linear"])
    assert main(["recommend", "run", "--sessions", "log.parquet", *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert [found.name for found in tmp_path.iterdir()] == ["log.parquet"]


def test_a_last_list_with_a_click_is_refused(runs: dict[str, TrainedPolicy]) -> None:
    frame = pl.DataFrame({"session_id": [1, 2], "step": [0, 0], "slate": [[1, 2], [3, 4]], "click": [None, 3]})
    with pytest.raises(UserError, match="session 2 ends with a click on 3; expected none"):
        rerank_sessions(runs["linear"], SessionLog.from_frame(frame))
