"""The parts of the discriminator's ablation: other discriminators, other weights, and what variants share."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from discriminator_variants import (
    VARIANTS,
    AdditiveDiscriminator,
    Agreement,
    Variant,
    WeighingLab,
    WithoutSlates,
    click_log_chances,
    fit_once,
    lowest_loss,
    make_plain,
    verdict_so_far,
    with_judge,
)
from irecgan.data.batch import SessionBatch
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.models.recurrent import initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab
from irecgan.training.loop import run_phases
from irecgan.training.recipes import RECIPES
from small_logs import TINY, small_log

CONFIG = TrainingConfig.checked(dict(TINY))


@pytest.fixture(scope="module")
def data() -> TrainingData:
    log = small_log(30)
    sessions = encode(log, Catalogue.from_log(log))
    return TrainingData(*hold_out(sessions, 0.2, Streams(0).torch("hold-out")), final_slates=True)


@pytest.fixture
def lab(data: TrainingData) -> Lab:
    return make_plain(RECIPES["irecgan"], data, CONFIG, Streams(0))


def generated(lab: Lab) -> SessionBatch:
    return lab.generate(6, Streams(1).torch("made"), scored=False)


def other_user(lab: Lab) -> RecurrentUserModel:
    user = RecurrentUserModel(CONFIG.size(lab.data.items))
    initialise(user, Streams(3).torch("other"))
    return user


def test_additive_terms_sum_to_the_logit_and_do_not_see_what_comes_later(lab: Lab) -> None:
    judge = with_judge(lab, AdditiveDiscriminator, "judge").discriminator
    assert isinstance(judge, AdditiveDiscriminator)
    batch = generated(lab)
    terms = judge.terms(batch)
    torch.testing.assert_close(judge(batch), terms.sum(1))
    assert not terms[~batch.real].any()
    two = 2
    first = replace(
        batch,
        **{
            name: getattr(batch, name)[:, :two]
            for name in ("slate", "shown", "click", "position", "reward", "propensity", "score", "real")
        },
    )
    torch.testing.assert_close(judge.terms(first), terms[:, :two])


def test_a_discriminator_without_slates_sees_clicks_alone(lab: Lab) -> None:
    batch = generated(lab)
    other = replace(batch, slate=torch.where(batch.shown, batch.slate.flip(2), batch.slate))
    sees, blind = (with_judge(lab, kind, "judge").discriminator for kind in (AdditiveDiscriminator, WithoutSlates))
    emptied = replace(batch, slate=torch.full_like(batch.slate, batch.catalogue_size))
    torch.testing.assert_close(blind(batch), blind(emptied))
    assert not torch.allclose(sees(batch), sees(emptied))
    torch.testing.assert_close(sees(batch), sees(other))  # slates are means: their order is not read
    clicks = replace(batch, click=batch.click.roll(1, 0))
    assert not torch.allclose(blind(batch), blind(clicks))


def test_agreement_is_the_chance_of_the_steps_so_far_under_the_most_doubtful_user(lab: Lab) -> None:
    batch, other = generated(lab), other_user(lab)
    torch.testing.assert_close(Agreement([lab.user])(lab, batch)[batch.real], torch.ones(int(batch.real.sum())))
    weight = Agreement([lab.user, other])(lab, batch)
    ratio = (click_log_chances(other, batch) - click_log_chances(lab.user, batch)).exp()
    by_hand = ratio[0, 0].clamp(max=1)
    torch.testing.assert_close(weight[0, 0], by_hand)
    if batch.real[0, 1]:
        torch.testing.assert_close(weight[0, 1], (ratio[0, 0] * ratio[0, 1]).clamp(max=1))
    assert (weight <= 1).all()
    assert (weight[batch.real] < 1).any()


def test_click_chances_sum_to_one_over_the_answers(lab: Lab) -> None:
    batch = generated(lab)
    outcome = lab.user(batch).outcome
    torch.testing.assert_close(outcome.exp().sum(1), torch.ones(len(outcome)))
    first = click_log_chances(lab.user, batch)[0, 0]
    column = int(batch.position[0, 0]) if batch.position[0, 0] >= 0 else outcome.shape[1] - 1
    torch.testing.assert_close(first, outcome[0, column])


def test_generated_sessions_have_the_weights_and_are_otherwise_the_same(lab: Lab) -> None:
    with pytest.raises(TypeError, match="adds up"):
        WeighingLab.of(lab, verdict_so_far).generate_sessions(6, Streams(1).torch("made"), scored=True)
    lab = with_judge(lab, AdditiveDiscriminator, "judge")
    plain = lab.generate_sessions(6, Streams(1).torch("made"), scored=False)
    batch = plain.batch(torch.arange(len(plain)))
    weighed = WeighingLab.of(lab, verdict_so_far).generate_sessions(6, Streams(1).torch("made"), scored=True)
    assert torch.equal(plain.item, weighed.item)
    assert torch.equal(plain.click, weighed.click)
    torch.testing.assert_close(weighed.score[plain.step_start[1:] - 1], torch.sigmoid(lab.discriminator(batch)))


def test_variants_that_share_fits_end_with_the_weights_of_the_recipe(data: TrainingData, tmp_path: Path) -> None:
    streams = Streams(0)
    fitted = fit_once(data, CONFIG, streams)
    for recipe in (RECIPES["pg"], RECIPES["irecgan"]):
        variant = Variant(recipe, {recipe.name: lowest_loss})
        shared, whole = variant.lab(data, CONFIG, streams, fitted), make_plain(recipe, data, CONFIG, streams)
        for name, (lab, phases) in {"shared": (shared, variant.rest), "whole": (whole, recipe)}.items():
            folder = tmp_path / recipe.name / name
            folder.mkdir(parents=True)
            run_phases(phases, lab, folder)
        for key, value in whole.agent.state_dict().items():
            assert torch.equal(shared.agent.state_dict()[key], value), key


def test_rows_have_names_of_their_own() -> None:
    names = [name for variant in VARIANTS for name in variant.rules]
    assert len(names) == len(set(names))
