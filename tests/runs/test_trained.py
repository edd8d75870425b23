import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import irecgan
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.models.agent import Agent
from irecgan.models.outputs import UntiedOutput
from irecgan.policies.co_click import Neighbours, co_clicks
from irecgan.policies.ranking import top_slate
from irecgan.rollout import rollout
from irecgan.runs.items import read_items, write_items
from irecgan.runs.trained import TrainedPolicy, load_policy
from irecgan.seeding import Streams
from irecgan.training.data import hold_out
from irecgan.worlds.interface import Scene
from small_logs import TINY, small_log, small_world

WORDS = ["ant", "bee", "cat", "dog"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mine"
    irecgan.train(small_log(), recipe="irecgan", out=out, settings=TINY)
    return out


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> TrainedPolicy:
    slates = [["ant", "bee"], ["cat", "bee", "dog"]] * 10
    frame = pl.DataFrame({"session_id": range(20), "step": [0] * 20, "slate": slates, "click": ["ant", "dog"] * 10})
    out = tmp_path_factory.mktemp("runs") / "words"
    return irecgan.train(SessionLog.from_frame(frame), recipe="lstm", out=out, settings=TINY)


def test_a_loaded_policy_recommends_what_the_trained_one_did(tmp_path: Path) -> None:
    trained = irecgan.train(small_log(), recipe="pg", out=tmp_path / "run", settings=TINY)
    loaded = load_policy(tmp_path / "run")
    assert trained.recommend([1, 2], 5) == loaded.recommend([1, 2], 5)


def test_recommend_is_the_top_of_the_agent(run: Path) -> None:
    policy = load_policy(run)
    state = policy.ranker.start(1)
    state = policy.ranker.advance(state, policy.catalogue.index([4]))
    best = top_slate(policy.ranker.scores(state), 3)[0]
    answer = policy.recommend([4], 3)
    assert answer.items == policy.catalogue.ids_of(best)
    assert answer.probabilities == sorted(answer.probabilities, reverse=True)
    assert sum(policy.recommend([4], 99).probabilities) == pytest.approx(1, abs=1e-5)
    assert len(policy.recommend([4], 99).items) == len(policy.catalogue)


def test_ids_are_those_of_the_log(words: TrainedPolicy) -> None:
    assert sorted(map(str, words.recommend(["ant"], 9).items)) == WORDS


def test_unknown_items_in_the_history_are_clicks_on_an_unknown_item(words: TrainedPolicy) -> None:
    assert words.recommend(["yak"]) == words.recommend(["emu"])
    assert words.recommend(["yak"]) != words.recommend([])


def test_unknown_candidates_come_last_in_the_order_given(words: TrainedPolicy) -> None:
    answer = words.rerank(["ant"], ["yak", "dog", "emu", "ant"])
    assert answer.items[2:] == ["yak", "emu"]
    assert answer.probabilities[2:] == [0, 0]
    assert sum(answer.probabilities) == pytest.approx(1)
    assert words.rerank([], ["yak", "emu"]).items == ["yak", "emu"]


@pytest.mark.parametrize("candidates", [[], ["ant", "bee", "ant"]])
def test_wrong_candidates_are_named(words: TrainedPolicy, candidates: list[str]) -> None:
    with pytest.raises(UserError, match="candidates"):
        words.rerank([], candidates)
    with pytest.raises(UserError, match="k: found 0"):
        words.recommend([], 0)


@pytest.mark.parametrize("history", [None, "ant", 3, [None], [2.5], [True], [[1]], torch.tensor([0.5])])
def test_what_is_no_list_of_ids_is_named(run: Path, history: Any) -> None:
    with pytest.raises(UserError, match="history: found"):
        load_policy(run).recommend(history)
    with pytest.raises(UserError, match="candidates: found"):
        load_policy(run).rerank([], history)


@pytest.mark.parametrize("k", [0, 2.5, "3", True])
def test_a_number_of_items_is_whole(run: Path, k: Any) -> None:
    with pytest.raises(UserError, match="k: found"):
        load_policy(run).recommend([], k)


def test_arrays_and_tensors_are_lists_of_ids(run: Path) -> None:
    policy = load_policy(run)
    given: list[Any] = [np.array([1, 2]), torch.tensor([1, 2]), [np.int64(1), 2]]
    assert all(policy.recommend(ids) == policy.recommend([1, 2]) for ids in given)
    answer = policy.rerank(given[0], given[1])
    assert {type(item) for item in answer.items} == {int}


def test_numbers_may_be_written_as_text(run: Path) -> None:
    policy = load_policy(run)
    assert policy.recommend(["1", "2"]) == policy.recommend([1, 2])
    assert policy.recommend(["01"]) == policy.recommend(["no such item"])


def test_rerank_and_score_slates_agree(run: Path) -> None:
    policy, log = load_policy(run), small_log(sessions=5, seed=3)
    sessions = encode(log, policy.catalogue)
    batch = sessions.batch(torch.arange(1))
    scores = policy.score_slates(batch)
    t = int(batch.clicked.sum()) - 1
    history = policy.catalogue.ids_of(batch.click[0, :t])
    candidates = policy.catalogue.ids_of(batch.slate[0, t])
    by_score = [candidates[i] for i in scores[t].argsort(descending=True).tolist()]
    assert policy.rerank(history, candidates).items == by_score


def test_it_plays_in_the_world_it_learned_from(run: Path) -> None:
    world = small_world()
    policy = load_policy(run).in_world(world.catalogue_size, slate_size=world.slate_size)
    batch = rollout(policy, world, 200, max_length=50, generator=torch.Generator().manual_seed(0))
    assert batch.clicked.any()


def test_a_subset_of_the_world_is_shown_by_the_worlds_numbers(tmp_path: Path) -> None:
    frame = pl.DataFrame({"session_id": range(9), "step": [0] * 9, "slate": [[7, 3, 5]] * 9, "click": [5] * 9})
    policy = irecgan.train(SessionLog.from_frame(frame), recipe="pg", out=tmp_path / "run", settings=TINY)
    here = policy.in_world(8, slate_size=2)
    slate = here.propose(here.start(4), Scene(), torch.Generator())
    assert set(slate.flatten().tolist()) <= {3, 5, 7}
    here.advance(here.start(4), slate, torch.tensor([0, 3, 5, 7]))
    with pytest.raises(UserError, match="slates of 4"):
        policy.in_world(8, slate_size=4)
    with pytest.raises(UserError, match=r"0 \.\. 6"):
        policy.in_world(7, slate_size=2)


def test_words_are_no_items_of_a_world(words: TrainedPolicy) -> None:
    with pytest.raises(UserError, match="'ant'"):
        words.in_world(8, slate_size=2)


def damaged(run: Path, to: Path) -> Path:
    to.mkdir()
    for path in run.iterdir():
        if path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
    return to


def test_a_run_of_another_format_is_refused(run: Path, tmp_path: Path) -> None:
    copy = damaged(run, tmp_path / "copy")
    fields = json.loads((copy / "run.json").read_text())
    for change in ({"format": 99}, {"format": None}, {"deploys": "nobody"}, {"surprise": 1}):
        (copy / "run.json").write_text(json.dumps({**fields, **change}))
        with pytest.raises(UserError, match=r"run\.json"):
            load_policy(copy)
    (copy / "run.json").write_text("{")
    with pytest.raises(UserError, match="line 1"):
        load_policy(copy)


def test_co_clicks_come_back_as_they_were_counted(run: Path, words: TrainedPolicy) -> None:
    policy = load_policy(run)
    held = encode(small_log(), policy.catalogue)
    train, _ = hold_out(held, 0.1, Streams(0).torch("hold-out"))
    counted, loaded = co_clicks(train), policy.co_clicks
    assert loaded is not None
    for name in ("start", "item", "weight"):
        assert torch.equal(getattr(loaded, name), getattr(counted, name)), name
    assert words.co_clicks is not None
    assert words.co_clicks.start.tolist() == [0] * 6  # sessions of one click
    assert len(words.co_clicks.item) == 0


def test_co_clicks_of_named_items_come_back_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    found = Neighbours(torch.tensor([0, 2, 2, 3, 3]), torch.tensor([1, 2, 0]), torch.tensor([0.5, 0.25, 1.0]))
    catalogue = Catalogue(pl.Series(["yak", "bee", "cat"]))
    write_items(tmp_path, catalogue, torch.zeros(2, 3), found)
    assert pl.read_parquet(tmp_path / "items.parquet")["co_clicked"].to_list() == [["bee", "cat"], None, ["yak"]]
    read, popularity, loaded = read_items(tmp_path)
    assert read.items.to_list() == ["yak", "bee", "cat"]
    assert torch.equal(popularity, torch.zeros(2, 3))
    assert loaded is not None
    for name in ("start", "item", "weight"):
        assert torch.equal(getattr(loaded, name), getattr(found, name)), name


def test_a_run_written_without_co_clicks_is_read_and_measured(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = damaged(run, tmp_path / "copy")
    items = pl.read_parquet(copy / "items.parquet")
    items.select("item_id", "popularity_first", "popularity_later").write_parquet(copy / "items.parquet")
    fields = json.loads((copy / "run.json").read_text())
    fields["files"]["items.parquet"] = hashlib.sha256((copy / "items.parquet").read_bytes()).hexdigest()
    (copy / "run.json").write_text(json.dumps(fields))
    old, new = load_policy(copy), load_policy(run)
    assert old.co_clicks is None
    assert old.recommend([1, 2]) == new.recommend([1, 2])
    found = irecgan.evaluate(old, log=small_log(30, seed=2), baselines=True, min_candidates=3).to_json()["runs"]
    assert set(found) == {"copy", "logged_order", "last_first", "popularity", "random"}
    assert "co_click: left out" in caplog.text


def test_a_run_with_a_missing_or_altered_file_is_refused(run: Path, tmp_path: Path) -> None:
    copy = damaged(run, tmp_path / "copy")
    weights = copy / "agent.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(UserError, match=r"agent\.safetensors: found contents that differ"):
        load_policy(copy)
    weights.unlink()
    with pytest.raises(UserError, match=r"agent\.safetensors: no such file"):
        load_policy(copy)
    with pytest.raises(UserError, match="not a run"):
        load_policy(tmp_path)


def resealed(copy: Path, name: str) -> None:
    """Have run.json expect the contents that ``name`` has now."""
    fields = json.loads((copy / "run.json").read_text())
    fields["files"][name] = hashlib.sha256((copy / name).read_bytes()).hexdigest()
    (copy / "run.json").write_text(json.dumps(fields))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": True}, "found format True"),
        ({"slate_size": 0}, "slate_size: "),
        ({"files": {}}, "no agent.safetensors"),
        ({"size": {"items": 8, "layers": 0}}, r"run\.json: found \{'size\.layers': 0\}; expected at least 1"),
        ({"size": {"items": 8, "units": 10**12}}, "does not fit into memory"),
        ({"size": {"items": 5}}, r"items\.parquet: not the 5 items"),
    ],
)
def test_a_manifest_that_does_not_fit_its_files_is_refused(
    changes: dict[str, object], message: str, run: Path, tmp_path: Path
) -> None:
    copy = damaged(run, tmp_path / "copy")
    fields = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**fields, **changes}))
    with pytest.raises(UserError, match=message):
        load_policy(copy)


def test_items_and_weights_of_another_run_are_refused(run: Path, tmp_path: Path) -> None:
    copy = damaged(run, tmp_path / "copy")
    pl.read_parquet(copy / "items.parquet").rename({"item_id": "id"}).write_parquet(copy / "items.parquet")
    resealed(copy, "items.parquet")
    with pytest.raises(UserError, match=r"items\.parquet: missing column item_id"):
        load_policy(copy)
    copy = damaged(run, tmp_path / "other")
    weights = copy / "agent.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    resealed(copy, "agent.safetensors")
    with pytest.raises(UserError, match=r"agent\.safetensors: not the weights of this run"):
        load_policy(copy)


def test_the_order_holds_where_probabilities_vanish(run: Path) -> None:
    policy = load_policy(run)
    agent = policy.ranker
    assert isinstance(agent, Agent)
    with torch.no_grad():
        output = agent.output
        assert isinstance(output, UntiedOutput)
        output.weight.zero_()
        output.bias.copy_(-1_000.0 * torch.tensor([3, 1, 2, 0, 4, 5, 6, 7]))
    answer = policy.recommend(k=8)
    assert answer.probabilities[1:] == [0.0] * 7
    assert answer.items == policy.catalogue.ids_of(torch.tensor([3, 1, 2, 0, 4, 5, 6, 7]))


def test_the_catalogue_of_a_run_is_that_of_its_log(run: Path) -> None:
    assert load_policy(run).catalogue.items.to_list() == Catalogue.from_log(small_log()).items.to_list()
