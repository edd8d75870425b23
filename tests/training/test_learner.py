"""The learner's steps: gradients are clipped, and the discriminator reads both kinds of sessions at once."""

import pytest
import torch
from torch import nn

from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.objectives.adversarial import discriminator_loss
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import make_lab
from irecgan.training.learner import Learner
from irecgan.training.losses import policy_gradient
from small_logs import TINY, small_log


@pytest.mark.parametrize(("clip", "norm"), [(0.5, 0.5), (1e3, None)])
def test_a_gradient_is_no_longer_than_the_limit_and_else_left_as_it_is(clip: float, norm: float | None) -> None:
    torch.manual_seed(0)
    model, inputs = nn.Linear(3, 2), torch.randn(4, 3)
    Learner(model, 1e-3, None).step(lambda: model(inputs).square().sum())
    whole = [parameter.grad for parameter in model.parameters()]
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    Learner(model, 1e-3, clip).step(lambda: model(inputs).square().sum())
    found = [parameter.grad for parameter in model.parameters()]
    if norm is None:
        assert all(torch.equal(a, b) for a, b in zip(found, whole, strict=True) if a is not None and b is not None)
    else:
        assert float(nn.utils.get_total_norm(g for g in found if g is not None)) == pytest.approx(norm, rel=1e-4)


def test_reading_logged_and_generated_sessions_at_once_is_reading_each_alone() -> None:
    log = small_log(30)
    parts = hold_out(encode(log, Catalogue.from_log(log)), 0.2, Streams(0).torch("hold-out"))
    config = TrainingConfig.checked({**TINY, "batch_size": 100, "discriminator_clip": None})
    lab = make_lab(TrainingData(*parts, final_slates=True), config, Streams(0), policy_gradient)
    batch = lab.generate(len(parts[0]), Streams(1).torch("made"), scored=False)
    judge, every = lab.discriminator, torch.arange(len(parts[0]))
    high, low = judge(parts[0].batch(every)), judge(batch)
    loss = discriminator_loss(high, low)
    expected = torch.autograd.grad(loss, list(judge.parameters()))
    found = lab.discriminator_epoch(Sessions.from_batch(batch), Streams(2).torch("shuffle"))
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(float(torch.cat([high > 0, low < 0]).float().mean()))
    for parameter, gradient in zip(judge.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
