import json
from pathlib import Path

import numpy as np
import pytest
import torch

import irecgan
from irecgan.cli import main
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.evaluation import shop
from irecgan.evaluation.baselines import Baselines
from irecgan.evaluation.evaluate import evaluate
from irecgan.evaluation.intervals import normal_ratios
from irecgan.evaluation.references import shop_references
from irecgan.evaluation.shop import ShopEvaluation, best_found, play_in_shop
from irecgan.policies.presented import AppealOrder, PresentedOrder, RandomOrder
from irecgan.rollout import rollout
from irecgan.runs.trained import TrainedPolicy, load_policy
from irecgan.seeding import Streams
from irecgan.simulation import simulated_log
from irecgan.worlds.interface import Scene
from small_logs import TINY
from small_shops import small_shop

SHOP = small_shop()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a log so short that it shows only part of the items."""
    log = simulated_log(PresentedOrder(), SHOP, 12, max_length=30, streams=Streams(0))
    out = tmp_path_factory.mktemp("runs") / "mine"
    irecgan.train(log, recipe="pg", out=out, settings=TINY)
    return out


@pytest.fixture(scope="module")
def policy(run: Path) -> TrainedPolicy:
    return load_policy(run)


def test_better_informed_orders_are_worth_more() -> None:
    orders = (AppealOrder(SHOP), PresentedOrder(), RandomOrder(SHOP.catalogue_size))
    oracle, logged, random = (play_in_shop(order, SHOP, 4000, Streams(0)) for order in orders)
    for better, worse in ((oracle, logged), (logged, random)):
        assert better.cumulative_reward.low > worse.cumulative_reward.high
        assert better.clicks.low > worse.clicks.high
        assert better.best_found[1].low > worse.best_found[1].high
    assert (oracle.best_found[1].mean, oracle.best_found[10].mean) == (1, 1)


def test_expected_values_agree_with_what_was_drawn() -> None:
    found = play_in_shop(PresentedOrder(), SHOP, 4000, Streams(0))
    batch = rollout(PresentedOrder(), SHOP, 20_000, max_length=1000, generator=Streams(1).torch("x"))
    drawn = torch.stack([batch.reward.sum(1), batch.clicked.sum(1)], dim=1).double()  # (S, 2)
    reward, clicks = normal_ratios(drawn.numpy(), np.ones(len(batch)))
    assert found.clicks.mean == pytest.approx(clicks.mean, abs=0.04)
    assert found.cumulative_reward.mean == pytest.approx(reward.mean, abs=0.01)
    raw = reward.high - reward.low
    assert found.cumulative_reward.high - found.cumulative_reward.low < raw  # of 5 times as many sessions


def test_best_found_by_hand() -> None:
    nothing = -torch.inf
    shown = torch.tensor([[*range(20)], [*range(20, 0, -1)], [2, 3, 1, *[nothing] * 17]]).float()
    assert best_found(shown).tolist() == [[0, 0], [1, 1], [0, 1]]


def test_its_json_has_the_promised_keys(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    SHOP.save(tmp_path / "WORLD.json")
    argv = ["evaluate", str(run), "--world", str(tmp_path / "WORLD.json"), "--baselines", "--sessions", "300"]
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"mine", "oracle", "logged_order", "popularity", "last_first", "co_click", "random"} == found["runs"].keys()
    for fields in found["runs"].values():
        for key in ("cumulative_reward", "clicks"):
            assert fields[key]["low"] <= fields[key]["mean"] <= fields[key]["high"]
        assert fields["best_found"].keys() == fields["best_found_intervals"].keys() == {"1", "10"}
        assert fields["cut"] == 0
    assert main(argv) == 0
    assert "purchases of 1,000 sessions" in capsys.readouterr().out


def test_a_run_may_log_in_a_shop(run: Path, tmp_path: Path) -> None:
    SHOP.save(tmp_path / "WORLD.json")
    argv = [
        "simulate",
        "--world",
        tmp_path / "WORLD.json",
        "--policy",
        run,
        "--sessions",
        50,
        "--out",
        tmp_path / "a.csv",
    ]
    assert main([str(part) for part in argv]) == 0
    assert SessionLog.read(tmp_path / "a.csv").sessions == 50


def test_a_learned_policy_does_not_read_the_taste(policy: TrainedPolicy) -> None:
    here, state = policy.in_world(SHOP.catalogue_size), SHOP.start(20, Streams(0).torch("x"))
    slates = [
        here.propose(here.start(20), Scene(taste, state.candidates), torch.Generator())
        for taste in (None, state.taste, -state.taste)
    ]
    assert torch.equal(slates[0], slates[1])
    assert torch.equal(slates[0], slates[2])


def test_items_that_a_run_does_not_know_rank_last(policy: TrainedPolicy) -> None:
    known = torch.zeros(SHOP.catalogue_size + 1, dtype=torch.bool)
    known[torch.from_numpy(policy.catalogue.items.to_numpy(writable=True))] = True
    assert 10 < int(known.sum()) < SHOP.catalogue_size
    here = policy.in_world(SHOP.catalogue_size)
    slate = rollout(here, SHOP, 200, max_length=30, generator=Streams(0).torch("x"))
    rank = torch.where(known[slate.slate], 0, 1) + (slate.slate == SHOP.catalogue_size).long()
    assert (rank.diff(dim=2) >= 0).all()  # known, not known, nothing
    assert int((rank == 1).sum()) > 0


def test_every_policy_shows_the_lists_of_the_world(policy: TrainedPolicy) -> None:
    baselines = Baselines(policy.popularity, policy.co_clicks)
    first = [
        rollout(order, SHOP, 50, max_length=1, generator=Streams(0).torch("x")).slate[:, 0].sort(1).values
        for order in [policy.in_world(SHOP.catalogue_size), *shop_references(SHOP, policy, baselines).values()]
    ]
    for slate in first:
        assert torch.equal(slate, first[0])


def test_results_are_repeatable_and_depend_on_the_seed(policy: TrainedPolicy) -> None:
    first, again, other = (evaluate(policy, world=SHOP, sessions=200, seed=s).to_json() for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_sessions_that_are_cut_are_told_of(
    policy: TrainedPolicy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shop, "LONGEST", 1)
    assert evaluate(policy, world=SHOP, sessions=50)["runs"]["mine"]["cut"] > 0
    assert "of 50 sessions were cut after" in caplog.text


def test_a_run_of_another_world_is_refused(policy: TrainedPolicy) -> None:
    fewer = small_shop(items=200)
    with pytest.raises(UserError, match=r"is not one of the world's, 0 \.\. 199"):
        evaluate(policy, world=fewer, sessions=10)
    assert isinstance(evaluate(policy, world=SHOP, sessions=10), ShopEvaluation)
