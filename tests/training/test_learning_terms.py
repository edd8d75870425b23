"""Trainings with terms: what they find, keep, resume and refuse."""

from pathlib import Path

import pytest
import torch

import irecgan
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.errors import UserError
from irecgan.models.user import RecurrentUserModel
from irecgan.runs.store import load_run
from irecgan.training.adam import Adam
from irecgan.training.config import TrainingConfig
from irecgan.training.metrics import read_metrics
from irecgan.training.recipes import RECIPES
from small_logs import TINY, small_log

SMALL = {**TINY, "user_epochs": 2}


@pytest.fixture(scope="module")
def log() -> SessionLog:
    return small_log(60)


def test_a_run_with_terms_is_loaded_as_it_was_trained(log: SessionLog, tmp_path: Path) -> None:
    policy = irecgan.train(log, recipe="terms", out=tmp_path / "run", settings=SMALL)
    user = load_run(tmp_path / "run").networks["user"]
    assert isinstance(user, RecurrentUserModel)
    assert user.terms is not None
    assert user.terms.weight.abs().sum() > 0
    assert (user.terms.covariance.diagonal() > 0).all()
    batch = encode(log, policy.catalogue).batch(torch.arange(5))
    again = irecgan.load_policy(tmp_path / "run")
    assert torch.equal(again.score_slates(batch), policy.score_slates(batch))
    assert policy.reads_order
    assert not torch.equal(policy.score_slates(batch), policy.score_slates(batch, ranked=False))
    with_order, without = (policy.rerank([1], [3, 2, 1, 0], ranked=ranked) for ranked in (True, False))
    assert with_order.probabilities != without.probabilities
    turned = policy.rerank([1], [0, 1, 2, 3], ranked=False)
    assert dict(zip(turned.items, turned.probabilities, strict=True)) == pytest.approx(
        dict(zip(without.items, without.probabilities, strict=True))
    )


def test_items_that_the_log_never_showed_are_ranked_by_terms(log: SessionLog, tmp_path: Path) -> None:
    policy = irecgan.train(log, recipe="terms", out=tmp_path / "run", settings={**SMALL, "user_epochs": 1})
    answer = policy.rerank([], ["new", 2, "newer"])
    assert min(answer.probabilities) > 0
    assert sum(answer.probabilities) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("recipe", ["pgu", "lstmd"])
def test_other_recipes_take_terms_and_resume_with_the_same_weights(
    recipe: str, log: SessionLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**TINY, "terms": "rank,repeat,co_click", "user_dropout": 0.2, "checkpoint_minutes": 0}
    irecgan.train(log, recipe=recipe, out=tmp_path / "whole", settings=settings)
    calls = 0
    epoch = Adam.step

    def step(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 16:
            raise KeyboardInterrupt
        return epoch(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Adam, "step", step)
    with pytest.raises(KeyboardInterrupt):
        irecgan.train(log, recipe=recipe, out=tmp_path / "cut", settings=settings)
    irecgan.train(log, recipe=recipe, out=tmp_path / "cut", settings=settings, resume=True)
    whole, cut = (load_run(tmp_path / name).networks for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    for name, network in whole.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, cut[name].state_dict()[key]), key


def test_terms_learn_at_a_rate_of_their_own(log: SessionLog, tmp_path: Path) -> None:
    rates = {"user_learning_rate": 1e-9, "terms_learning_rate": 0.05, "user_epochs": 3}
    irecgan.train(log, recipe="terms", out=tmp_path / "run", settings={**TINY, **rates})
    irecgan.train(log, recipe="lstm", out=tmp_path / "one", settings={**TINY, **rates})
    user, plain = (load_run(tmp_path / name).networks["user"].state_dict() for name in ("run", "one"))
    assert user["terms.weight"].abs().max() > 0.1
    for key, value in plain.items():
        if key != "stop.bias":  # which is calibrated
            torch.testing.assert_close(user[key], value, atol=1e-6, rtol=0)


def test_settings_name_the_terms_and_what_is_wrong() -> None:
    assert TrainingConfig.parse(["terms=rank, popularity"]).terms == ("rank", "popularity")
    assert len(TrainingConfig.parse(["terms=all"]).terms) == 7
    assert TrainingConfig.parse(["terms=none"]).terms == ()
    with pytest.raises(UserError, match=r"setting terms\.0: found 'order'"):
        TrainingConfig.parse(["terms=order"])


def test_what_is_given_goes_before_the_settings_of_a_recipe() -> None:
    settings = RECIPES["terms"].settings
    assert TrainingConfig.checked({}).over(settings).terms
    assert TrainingConfig.parse(["terms=none", "units=3"]).over(settings).size(2).terms == ()
    assert TrainingConfig.parse(["units=3"]).over(settings).units == 3


def test_a_run_whose_items_lost_their_counts_is_refused(log: SessionLog, tmp_path: Path) -> None:
    irecgan.train(log, recipe="linear", out=tmp_path / "run", settings={**SMALL, "user_epochs": 1})
    run = load_run(tmp_path / "run")
    from irecgan.runs import store  # noqa: PLC0415

    with pytest.raises(UserError, match=r"items\.parquet: found no counts of items, which its model reads"):
        store._attach(run.networks, None, run.co_clicks, tmp_path / "run")


def test_sharpening_keeps_what_held_out_sessions_like_best(log: SessionLog, tmp_path: Path) -> None:
    """With weights that hardly learned before, they are other than 0 if and only if a step of Newton's helped."""
    settings = {**SMALL, "user_epochs": 1, "terms_learning_rate": 1e-9}
    helped = []
    for name in ("rank", "popularity", "co_click"):
        irecgan.train(log, recipe="terms", out=tmp_path / name, settings={**settings, "terms": name})
        lines = read_metrics(tmp_path / name)
        fitted, *sharpened = [float(line["validation"]) for line in lines if "validation" in line]
        assert sharpened[0] == pytest.approx(fitted, abs=1e-4)
        user = load_run(tmp_path / name).networks["user"]
        assert isinstance(user, RecurrentUserModel)
        assert user.terms is not None
        helped.append(bool(user.terms.weight.abs().max() > 1e-6))
        assert helped[-1] == (min(sharpened) < sharpened[0])
    assert any(helped)


def test_without_terms_there_is_nothing_to_sharpen(log: SessionLog, tmp_path: Path) -> None:
    settings = {**SMALL, "terms": None}
    policy = irecgan.train(log, recipe="terms", out=tmp_path / "run", settings=settings)
    assert not policy.reads_order
    assert sum(line["phase"] == "sharpen-terms" for line in read_metrics(tmp_path / "run")) == 1
