"""Intervals of the weights of terms hold what they promise where the truth is known."""

import torch
from torch import Tensor

from irecgan.data.batch import Sessions
from irecgan.data.ragged import offsets
from irecgan.models.recurrent import Size, initialise
from irecgan.models.user import Learning, RecurrentUserModel
from irecgan.training.config import TrainingConfig
from irecgan.training.information import log_statistics, newton_step, weight_covariance
from irecgan.training.learner import Learner
from irecgan.training.losses import user_loss

WIDTH, STEPS, ITEMS = 4, 3, 12
TRUE = torch.tensor([1.5, 0.8, 0.2, -0.5])  # of the ranks
TOUCHED = 0.7


def simulated(sessions: int, seed: int) -> Sessions:
    """Clicks by the conditional logit of ranks and of the item clicked last."""
    g = torch.Generator().manual_seed(seed)
    slates = torch.rand(sessions, STEPS, ITEMS, generator=g).argsort(2)[..., :WIDTH]
    last, positions = torch.full((sessions,), ITEMS), []
    for t in range(STEPS):
        scores = TRUE + TOUCHED * (slates[:, t] == last[:, None])
        positions.append(torch.multinomial(scores.softmax(1), 1, generator=g))
        last = slates[:, t].gather(1, positions[-1]).squeeze(1)
    position = torch.cat(positions, dim=1)
    click = slates.gather(2, position[..., None]).squeeze(2)
    n = sessions * STEPS
    return Sessions(
        step_start=offsets(torch.full((sessions,), STEPS)),
        item_start=offsets(torch.full((n,), WIDTH)),
        item=slates.flatten(),
        click=click.flatten(),
        position=position.flatten(),
        reward=torch.zeros(n),
        propensity=torch.full((n,), torch.nan),
        score=torch.ones(n),
        catalogue_size=ITEMS,
    )


def learned(sessions: Sessions, seed: int, epochs: int) -> RecurrentUserModel:
    user = RecurrentUserModel(Size(ITEMS, 2, 2, 1, terms=("rank", "repeat")))
    initialise(user, torch.Generator().manual_seed(seed))
    assert user.terms is not None
    user.terms.attach(log_statistics(sessions))
    learner, config, g = Learner(user, 1e-3, None, apart=(list(user.terms.parameters()), 0.03)), TrainingConfig(), seed
    learning = Learning(0.0, torch.Generator().manual_seed(g))
    for epoch in range(epochs):
        order = torch.Generator().manual_seed(epoch)
        learner.epoch(lambda batch: user_loss(user, batch, config, learning), sessions, 32, order)
    return user


def contrast(user: RecurrentUserModel, covariance: Tensor, one: int, other: int) -> tuple[float, float]:
    """The difference of two weights, and its standard error."""
    assert user.terms is not None
    direction = torch.zeros(len(covariance), dtype=torch.float64)
    direction[one], direction[other] = 1, -1
    return float(direction @ user.terms.weight.detach().double()), float((direction @ covariance @ direction).sqrt())


def test_intervals_cover_the_true_differences() -> None:
    """Of 72 intervals of 95 %, at least 62 hold the truth, and they are not far too wide. 24 logs, 3 differences."""
    inside, widths, distances = 0, [], []
    for seed in range(24):
        log = simulated(120, seed)
        user = learned(log, seed, epochs=6)
        covariance = weight_covariance(user, log)
        for other in (1, 2, 3):
            found, error = contrast(user, covariance, 0, other)
            truth = float(TRUE[0] - TRUE[other])
            inside += abs(found - truth) <= 1.96 * error
            widths.append(error)
            distances.append(found - truth)
    assert 62 <= inside <= 72
    spread = torch.tensor(distances).std()
    assert 0.7 < torch.tensor(widths).mean() / spread < 1.6


def test_four_times_the_sessions_halve_the_error() -> None:
    """The information of a log grows with it: at the true weights, where the distance to the best ones is noise."""
    user = learned(simulated(40, 1), 1, epochs=1)
    assert user.terms is not None
    user.terms.forget()
    with torch.no_grad():
        user.terms.weight[: len(TRUE)] = TRUE
        user.terms.weight[user.terms.places["clicked last"]] = TOUCHED
    variances = []
    for sessions in (500, 2000):
        total = 0.0
        for seed in range(8):
            log = simulated(sessions, seed)
            user.terms.attach(log_statistics(log))
            total += contrast(user, weight_covariance(user, log), 0, 1)[1] ** 2
        variances.append(total)
    assert 0.15 < variances[1] / variances[0] < 0.4


def test_a_weight_of_which_the_log_says_nothing_is_not_known() -> None:
    log = simulated(30, 1)
    covariance = weight_covariance(learned(log, 1, epochs=1), log)
    assert covariance[20, 20] == 100  # rank 21 was never shown: the prior's variance


def test_newton_steps_end_where_the_posterior_is_highest() -> None:
    log, precision = simulated(150, 3), 2.0
    user = learned(log, 3, epochs=1)
    assert user.terms is not None
    for _ in range(8):
        newton_step(user, log, precision)
    batch = log.batch(torch.arange(len(log)))
    user.zero_grad()
    chance = user(batch, Learning(0.0, torch.Generator())).scores.log_softmax(1)
    posterior = (
        chance.gather(1, batch.position[batch.real][:, None]).sum() - precision / 2 * user.terms.weight.square().sum()
    )
    posterior.backward()
    assert user.terms.weight.grad is not None
    assert user.terms.weight.grad.abs().max() < 1e-3
    assert user.terms.weight.abs().max() > 0.5
