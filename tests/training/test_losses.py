import itertools
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import NOTHING, SessionBatch
from irecgan.models.agent import Agent, Head
from irecgan.models.recurrent import Size, initialise
from irecgan.objectives.importance import inclusion_log_probability
from irecgan.training.config import TrainingConfig
from irecgan.training.losses import AgentLoss, actor_critic, off_policy_gradient, policy_gradient, whole_slate

ITEMS = 3
CHANCE = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)  # of a click on the one item shown
REWARD = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
CONFIG = TrainingConfig(gamma=1.0, lambda_r=3.0)


@pytest.fixture
def agent() -> Agent:
    made = Agent(Size(ITEMS, embedding=2, units=3, layers=1)).double()
    initialise(made, torch.Generator().manual_seed(4))
    return made


def policies(agent: Agent) -> tuple[Tensor, Tensor]:
    """Pi of the first step (n,), and of the second after each first click (n, n)."""
    start = agent.start(ITEMS)
    later = agent.advance(start, torch.arange(ITEMS))
    return agent.scores(start)[0].softmax(0), agent.scores(later).softmax(1)


def expected_return(agent: Agent) -> Tensor:
    """The sum of 1 + lambda_r r over at most two clicks, over all that may happen. ()"""
    first, second = policies(agent)
    worth = CHANCE * (1 + CONFIG.lambda_r * REWARD)
    return (first * (worth + CHANCE * (second @ worth))).sum()


def trajectories(first: Tensor, second: Tensor) -> tuple[SessionBatch, Tensor]:
    """Every session with a click, and its probability, when items are shown by ``first`` and ``second``."""
    clicks, chances = [], []
    for a in range(ITEMS):
        clicks.append([a, ITEMS])
        chances.append(first[a] * CHANCE[a] * (second[a] * (1 - CHANCE)).sum())
    for a, b in itertools.product(range(ITEMS), repeat=2):
        clicks.append([a, b])
        chances.append(first[a] * CHANCE[a] * second[a, b] * CHANCE[b])
    click, chance = torch.tensor(clicks), torch.stack(chances).detach()
    clicked = click < ITEMS
    reward = torch.where(clicked, REWARD[click.clamp(max=ITEMS - 1)], 0.0)
    batch = SessionBatch(
        slate=click[..., None],
        shown=clicked[..., None],
        click=click,
        position=torch.where(clicked, 0, NOTHING),
        reward=reward,
        propensity=torch.full_like(reward, torch.nan),
        score=chance[:, None].expand_as(reward),
        real=torch.ones_like(clicked),
        catalogue_size=ITEMS,
    )
    return batch, chance


def test_the_policy_gradient_is_the_gradient_of_the_expected_return(agent: Agent) -> None:
    """Weighing each session by its probability (through q_D) gives the mean of the estimator of Eq. (10)."""
    batch, chance = trajectories(*policies(agent))
    assert float(chance.sum()) == pytest.approx(float((policies(agent)[0] * CHANCE).sum().detach()))
    exact = torch.autograd.grad(expected_return(agent), list(agent.parameters()))
    estimate = torch.autograd.grad(policy_gradient(agent, batch, CONFIG) * len(batch), list(agent.parameters()))
    for true, found in zip(exact, estimate, strict=True):
        torch.testing.assert_close(-found, true)


def test_a_step_down_the_loss_raises_the_expected_return(agent: Agent) -> None:
    before = float(expected_return(agent).detach())
    batch, _ = trajectories(*policies(agent))
    policy_gradient(agent, batch, CONFIG).backward()
    with torch.no_grad():
        for parameter in agent.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.05 * parameter.grad)
    assert float(expected_return(agent).detach()) > before


def test_clicks_on_unknown_items_teach_the_agent_nothing(agent: Agent) -> None:
    batch, _ = trajectories(*policies(agent))
    unknown = replace(batch, click=torch.full_like(batch.click, ITEMS))
    assert float(policy_gradient(agent, unknown, CONFIG).detach()) == 0


@pytest.mark.parametrize("kind", ["ordered", "set"])
def test_slates_of_one_item_are_credited_as_clicks_are(agent: Agent, kind: str) -> None:
    batch, _ = trajectories(*policies(agent))
    config = CONFIG.model_copy(update={"slate_likelihood": kind})
    torch.testing.assert_close(whole_slate(agent, batch, config), policy_gradient(agent, batch, CONFIG))


@pytest.mark.parametrize("kind", ["ordered", "set"])
def test_every_item_shown_is_credited_with_what_followed_and_no_unknown_one(agent: Agent, kind: str) -> None:
    config = CONFIG.model_copy(update={"slate_likelihood": kind})
    batch, _ = trajectories(*policies(agent))
    wider = replace(
        batch,
        slate=torch.cat([torch.full_like(batch.slate, ITEMS), batch.slate], dim=2),
        shown=torch.cat([batch.shown, batch.shown], dim=2),
    )
    torch.testing.assert_close(whole_slate(agent, wider, config), whole_slate(agent, batch, config))
    both = replace(wider, slate=torch.cat([(batch.slate + 1) % ITEMS, batch.slate], dim=2))
    before = whole_slate(agent, both, config)
    before.backward()
    with torch.no_grad():
        for parameter in agent.parameters():
            assert parameter.grad is not None
            parameter.sub_(1e-3 * parameter.grad)
        assert float(whole_slate(agent, both, config)) < float(before)


def policy_parameters(agent: Agent) -> list[torch.nn.Parameter]:
    return [parameter for name, parameter in agent.named_parameters() if not name.startswith("heads.")]


def with_head(head: Head) -> Agent:
    made = Agent(Size(ITEMS, embedding=2, units=3, layers=1), (head,)).double()
    initialise(made, torch.Generator().manual_seed(4))
    return made


def test_importance_weights_give_the_gradient_under_the_logged_states() -> None:
    """Sessions of a logging policy whose propensities are known; what follows a step is still its doing."""
    agent, logged = with_head("behaviour"), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    batch, _ = trajectories(logged, logged.expand(ITEMS, ITEMS))
    propensity = torch.where(batch.clicked, logged[batch.click.clamp(max=ITEMS - 1)], torch.nan)
    batch = replace(batch, propensity=propensity)
    worth = CHANCE * (1 + CONFIG.lambda_r * REWARD)
    first, second = policies(agent)
    follows = worth + CHANCE * (logged @ worth)
    exact = (first * follows).sum() + ((logged * CHANCE)[:, None] * second * worth).sum()
    config = CONFIG.model_copy(update={"weight_cap": 1e9})
    expected = torch.autograd.grad(exact, policy_parameters(agent))
    found = torch.autograd.grad(off_policy_gradient(agent, batch, config) * len(batch), policy_parameters(agent))
    for true, estimate in zip(expected, found, strict=True):
        torch.testing.assert_close(-estimate, true)


def test_the_behaviour_model_learns_the_logged_clicks() -> None:
    agent = with_head("behaviour")
    logged = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    batch, _ = trajectories(logged, logged.expand(ITEMS, ITEMS))
    before = agent.encoder.embedding.weight.clone()
    likelihood = []
    for _ in range(30):
        agent.zero_grad()
        off_policy_gradient(agent, batch, CONFIG).backward()
        head = agent.heads["behaviour"]
        with torch.no_grad():
            clicked = batch.clicked[batch.real]
            logits, click = head(agent.states(batch))[clicked], batch.click[batch.real][clicked]
            likelihood.append(float(logits.log_softmax(1).gather(1, click[:, None]).mean()))
            for parameter in head.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad)
    assert likelihood[-1] > likelihood[0]
    assert torch.equal(before, agent.encoder.embedding.weight)


@pytest.fixture
def even_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks do not depend on the item: then a baseline is free of bias."""
    monkeypatch.setattr(f"{__name__}.CHANCE", torch.full((ITEMS,), 0.6, dtype=torch.float64))


def spread(agent: Agent, loss: AgentLoss, config: TrainingConfig) -> tuple[Tensor, float]:
    """The mean of the estimator over all sessions of the agent's own, and its variance."""
    batch, chance = trajectories(*policies(agent))
    return moments(agent, loss, config, replace(batch, score=torch.ones_like(batch.score)), chance)


def moments(
    agent: Agent, loss: AgentLoss, config: TrainingConfig, batch: SessionBatch, chance: Tensor
) -> tuple[Tensor, float]:
    """The mean of the estimator over sessions with their chances (B,), and its variance: the sum over parameters."""
    stacked = torch.stack([flat(agent, loss(agent, row_of(batch, row), config)) for row in range(len(chance))])
    mean = (chance[:, None] * stacked).sum(0)
    square = (chance[:, None] * stacked**2).sum()
    return mean, float(square - (mean**2).sum())


def row_of(batch: SessionBatch, row: int) -> SessionBatch:
    rows = {f.name: getattr(batch, f.name)[row : row + 1] for f in fields(batch) if f.type is Tensor}
    return SessionBatch(**rows, catalogue_size=ITEMS)


def flat(agent: Agent, value: Tensor) -> Tensor:
    """The gradient of ``value`` in the parameters of the policy, as one vector."""
    parameters = policy_parameters(agent)
    gradient = torch.autograd.grad(value, parameters, allow_unused=True)
    found = [torch.zeros_like(p) if g is None else g for g, p in zip(gradient, parameters, strict=True)]
    return torch.cat([g.flatten() for g in found])


@pytest.mark.usefixtures("even_chance")
def test_a_value_leaves_the_mean_of_the_gradient_and_lowers_its_variance() -> None:
    agent = with_head("value")
    head = agent.heads["value"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(6.0 / 100)  # in units of 100 when gamma is 1; returns of a click here are 1 to 14
    config = CONFIG.model_copy(update={"advantage": "mc", "value_weight": 0.0})
    plain, noise = spread(agent, policy_gradient, config)
    based, less = spread(agent, actor_critic, config)
    torch.testing.assert_close(-plain, flat(agent, expected_return(agent)))
    torch.testing.assert_close(based, plain)
    assert less < noise


def worths() -> Tensor:
    """What an item earns when it is shown. (n,)"""
    return CHANCE * (1 + CONFIG.lambda_r * REWARD)


def exact_values(agent: Agent) -> tuple[Tensor, Tensor]:
    """V of the first state (), and of the second after each first click (n,)."""
    _, second = policies(agent)
    return expected_return(agent).detach(), (second @ worths()).detach()


def with_exact_value() -> Agent:
    """An agent whose value head gives the exact value of every state: 4 states, 3 weights and a bias."""
    agent = with_head("value")
    start = agent.start(ITEMS)
    states = torch.cat([start.top[:1], agent.advance(start, torch.arange(ITEMS)).top]).detach()  # (4, 3)
    first, later = exact_values(agent)
    inputs = torch.cat([states, torch.ones(4, 1, dtype=torch.float64)], dim=1)
    solution = torch.linalg.solve(inputs, torch.cat([first[None], later]) / 100)  # in units of 100, as gamma is 1
    head = agent.heads["value"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.copy_(solution[None, :3])
        head.bias.copy_(solution[3:])
    return agent


def critic(advantage: str) -> TrainingConfig:
    return CONFIG.model_copy(update={"advantage": advantage, "value_weight": 0.0})


@pytest.mark.usefixtures("even_chance")
def test_exact_values_keep_the_gradient_and_each_step_of_them_lowers_its_variance() -> None:
    """One step ahead < whole return with a baseline < REINFORCE."""
    agent = with_exact_value()
    exact = flat(agent, expected_return(agent))
    found = [
        spread(agent, actor_critic, critic("td")),
        spread(agent, actor_critic, critic("mc")),
        spread(agent, policy_gradient, CONFIG),
    ]
    for mean, _ in found:
        torch.testing.assert_close(-mean, exact)
    variances = [variance for _, variance in found]
    assert variances == sorted(variances)
    assert variances[0] < 0.9 * variances[1] < 0.9**2 * variances[2]


@pytest.mark.parametrize("advantage", ["td", "mc"])
def test_a_value_that_only_clicks_are_measured_against_pulls_away_from_clicks(advantage: str) -> None:
    """Where items differ in their chance of a click, AC misses V(s) times the gradient of the chance of a click:
    a slate that nobody clicked has no log pi(c_t), so the baseline's mean is not zero."""
    agent = with_exact_value()
    first, second = policies(agent)
    now, later = exact_values(agent)
    clicked = now * (first * CHANCE).sum() + ((first.detach() * CHANCE * later)[:, None] * second * CHANCE).sum()
    mean, _ = spread(agent, actor_critic, critic(advantage))
    missed = flat(agent, clicked)
    torch.testing.assert_close(-mean, flat(agent, expected_return(agent)) - missed)
    assert float(missed.norm()) > 0.1


@pytest.mark.usefixtures("even_chance")
def test_actor_critic_learns_from_logged_and_generated_sessions_by_their_shares() -> None:
    """ACU: ten logged sessions to one of the agent's own; both gradients are exact, and simply add up."""
    agent = with_exact_value()
    logged = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    first, second = policies(agent)
    now, later = exact_values(agent)
    made, of_made = trajectories(first, second)
    log, of_log = trajectories(logged, logged.expand(ITEMS, ITEMS))
    both = joined(made, log)
    chance = torch.cat([of_made, 10 * of_log]) / 11
    mean, _ = moments(agent, actor_critic, critic("mc"), both, chance)
    follows = 1 + CONFIG.lambda_r * REWARD + logged @ worths()  # after a click, under the log
    steps = (logged * CHANCE * (follows - now) * first.log()).sum()
    pairs = (logged * CHANCE)[:, None] * logged * CHANCE * (1 + CONFIG.lambda_r * REWARD - later[:, None])
    exact = (expected_return(agent) + 10 * (steps + (pairs * second.log()).sum())) / 11
    torch.testing.assert_close(-mean, flat(agent, exact))
    batch_mean = flat(agent, actor_critic(agent, both, critic("mc")))
    singles = [flat(agent, actor_critic(agent, row_of(both, row), critic("mc"))) for row in range(len(both))]
    torch.testing.assert_close(batch_mean, torch.stack(singles).mean(0))


def joined(first: SessionBatch, second: SessionBatch) -> SessionBatch:
    """Both batches, with all scores 1."""
    parts = [replace(batch, score=torch.ones_like(batch.score)) for batch in (first, second)]
    tensors = {f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(first) if f.type is Tensor}
    return SessionBatch(**tensors, catalogue_size=ITEMS, touched=None, context=None)


def slates_of_two(shown: Tensor) -> tuple[SessionBatch, Tensor, Tensor]:
    """One-click sessions with slates of two of three items, logged with the chances ``shown`` (3,).

    Also their chances, and the chance of every item to be shown (n,). One item of the slate is the candidate,
    in proportion to CHANCE, and is clicked with CHANCE.
    """
    pairs = torch.tensor(list(itertools.combinations(range(ITEMS), 2)))
    candidate = CHANCE[pairs] / CHANCE[pairs].sum(1, keepdim=True)
    chance = (shown[:, None] * candidate * CHANCE[pairs]).flatten()  # (6,)
    slate = pairs.repeat_interleave(2, 0)
    position = torch.tensor([0, 1]).repeat(len(pairs))
    click = slate.gather(1, position[:, None]).squeeze(1)
    inclusion = torch.zeros(ITEMS, dtype=torch.float64).index_add(0, pairs.flatten(), shown.repeat_interleave(2))
    batch = SessionBatch(
        slate=slate[:, None],
        shown=torch.ones_like(slate[:, None], dtype=torch.bool),
        click=click[:, None],
        position=position[:, None],
        reward=REWARD[click][:, None],
        propensity=inclusion[click][:, None],
        score=torch.ones(6, 1, dtype=torch.float64),
        real=torch.ones(6, 1, dtype=torch.bool),
        catalogue_size=ITEMS,
    )
    return batch, chance, inclusion


UNCAPPED = CONFIG.model_copy(update={"weight_cap": 1e9})
CORRECTED = UNCAPPED.model_copy(update={"top_k_correction": True})
SHOWN = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)


@pytest.mark.parametrize("known", [True, False], ids=["propensities", "behaviour model"])
def test_the_top_k_correction_gives_the_gradient_of_the_chance_to_be_shown(known: bool) -> None:
    """Sum over items of the chance alpha that K draws of pi hold the item, times what it earns where it is shown."""
    agent = with_head("behaviour")
    batch, chance, inclusion = slates_of_two(SHOWN)
    logged = inclusion if known else torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    if not known:
        batch = replace(batch, propensity=torch.full_like(batch.propensity, torch.nan))
        model_clicks_by(agent, logged)
    click = batch.click[:, 0]
    earned = torch.zeros(ITEMS, dtype=torch.float64).index_add(0, click, chance * (1 + CONFIG.lambda_r * REWARD[click]))
    shown = inclusion_log_probability(policies(agent)[0].log(), 2).exp()
    mean, _ = moments(agent, off_policy_gradient, CORRECTED, batch, chance)
    torch.testing.assert_close(-mean, flat(agent, (shown * earned / logged).sum()))


def test_without_the_correction_slates_are_weighed_as_if_the_agent_had_shown_them() -> None:
    """Alpha over the logged chance: Eq. (10) promotes log pi of the clicks that the agent's own slates would get."""
    agent = with_head("behaviour")
    batch, chance, inclusion = slates_of_two(SHOWN)
    click, policy = batch.click[:, 0], policies(agent)[0]
    earned = torch.zeros(ITEMS, dtype=torch.float64).index_add(0, click, chance * (1 + CONFIG.lambda_r * REWARD[click]))
    shown = inclusion_log_probability(policy.log(), 2).exp().detach()
    mean, _ = moments(agent, off_policy_gradient, UNCAPPED, batch, chance)
    torch.testing.assert_close(-mean, flat(agent, (shown * earned / inclusion * policy.log()).sum()))


def model_clicks_by(agent: Agent, logged: Tensor) -> None:
    """Let the behaviour model say ``logged`` (n,) in every state."""
    head = agent.heads["behaviour"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(logged.log())


@pytest.mark.parametrize("corrected", [False, True])
def test_capped_weights_trade_the_gradient_for_a_lower_variance(corrected: bool) -> None:
    """Items that the log hardly shows get weights of up to 8; the lower the cap, the lower the variance."""
    agent = with_head("behaviour")
    batch, chance, _ = slates_of_two(torch.tensor([0.9, 0.05, 0.05], dtype=torch.float64))
    base = CORRECTED if corrected else UNCAPPED
    exact, noise = moments(agent, off_policy_gradient, base, batch, chance)
    for cap in (2.0, 1.0, 0.5):
        mean, variance = moments(agent, off_policy_gradient, base.model_copy(update={"weight_cap": cap}), batch, chance)
        assert variance < noise
        assert float((mean - exact).norm()) > 0.01
        noise = variance


def test_the_value_is_learned_from_returns() -> None:
    agent = with_head("value")
    batch, _ = trajectories(*policies(agent))
    config = CONFIG.model_copy(update={"gamma": 0.5})
    optimiser = torch.optim.Adam(agent.heads.parameters(), lr=0.1)
    losses = []
    for _ in range(100):
        optimiser.zero_grad()
        loss = actor_critic(agent, replace(batch, score=torch.ones_like(batch.score)), config)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
