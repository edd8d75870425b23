"""How far the agent's value among learned users is from the truth, and what a discriminator does about it.

Where sessions can be listed (`exact_figures`), every number is exact. Elsewhere (`sampled_figures`) prefixes are
sampled; their chances under all three laws are exact even then, because the hidden state can be summed out.

Every estimate of V_pi, the expected reward of the agent's sessions in the true world, has the form of Eq. (12):
lambda_1 times what generated sessions earn, weighed, plus lambda_2 times what logged ones earn. A weight q that
is a mean over completions, Eq. (6), has the expectation of the weight of whole sessions, so that
E_g[sum_t q_t r_t] = E_g[D(tau) sum_t r_t].
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.evaluation.prefixes import list_prefixes, whole_sessions
from irecgan.models.agent import Agent
from irecgan.models.discriminator import Discriminator
from irecgan.models.recurrent import RecurrentState
from irecgan.models.user import RecurrentUserModel, UserPrediction
from irecgan.objectives.bias import Biases, PrefixLaws, biases, decompose, estimated_value, optimal_discriminator
from irecgan.objectives.importance import effective_sample_share
from irecgan.policies.logging import LoggingPolicy
from irecgan.policies.ranking import RankingPolicy, slate_log_probability
from irecgan.rollout import Stage, rollout, scored_rollout
from irecgan.seeding import Streams
from irecgan.worlds.learned import LearnedWorld
from irecgan.worlds.likelihood import session_log_chances
from irecgan.worlds.mdp import MDPWorld

Figures = dict[str, float]

LAMBDA_1 = 0.5
"""The share of generated sessions in Eq. (12)."""


@dataclass(frozen=True)
class Encounter:
    """An agent, the learned and the true users it meets, and the policy that logged the true ones."""

    agent: Agent
    user: RecurrentUserModel
    world: MDPWorld
    logging: LoggingPolicy
    clicks: int  # after which a session is cut
    judge: Discriminator | None = None

    @torch.no_grad()
    def laws(self, batch: SessionBatch, *, rewards: bool = False) -> PrefixLaws:
        """The laws of every prefix of the sessions in ``batch``, which has all slates, float64. (B, T)

        With ``rewards`` the rewards of the clicks are part of the prefix: in the true world every click
        earns 1, while the user model draws rewards. Without, they are summed out.
        """
        slate, real = batch.slate[batch.real], batch.real
        prediction: UserPrediction = self.user(batch)
        outcome = torch.where(batch.position < 0, slate.shape[1], batch.position)[real]  # c_end is the last
        answers = prediction.outcome.gather(1, outcome[:, None]).squeeze(1)
        earned = batch.reward[real]
        drawn = torch.where(batch.clicked[real], self.user.reward_law.log_probability(prediction.reward, earned), 0.0)
        slates = _prefix_sums(slate_log_probability(self.agent(batch), slate), real)
        untrue = torch.where(batch.clicked & (batch.reward != 1) & rewards, -torch.inf, 0.0).double().cumsum(1)
        states = self.world.state_count
        shown = torch.zeros(*real.shape, states, dtype=torch.float64)
        logged = shown.masked_scatter(real[..., None], self.logging.slate_log_chance(self.world, slate))
        predicted = torch.where(batch.clicked[real], self.user.reward_law.mean(prediction.reward), 0.0)
        return PrefixLaws(
            policy=session_log_chances(self.world, batch, shown) + slates + untrue,
            generated=_prefix_sums(answers + drawn if rewards else answers, real) + slates,
            data=session_log_chances(self.world, batch, logged) + untrue,
            reward=batch.clicked.double(),
            predicted=torch.zeros_like(real, dtype=torch.float64).masked_scatter(real, predicted.double()),
        )

    @property
    def policy(self) -> RankingPolicy[RecurrentState]:
        """The agent, sampling its slates by Eq. (4)."""
        return RankingPolicy(self.agent, self.world.slate_size, sampled=True)


@torch.no_grad()
def exact_figures(met: Encounter) -> Figures:
    """Values, estimates of V_pi and their biases by listing every session of at most ``met.clicks`` clicks.

    The terms of the decomposition are of prefixes whose rewards are summed out; the weights of whole sessions
    are of sessions with their rewards, as a discriminator sees them.
    """
    world = met.world
    size = (world.catalogue_size, world.slate_size, met.clicks)
    laws = PrefixLaws.concat([_last(met.laws(level)) for level in list_prefixes(*size)])
    terms = decompose(laws, LAMBDA_1)
    values = {
        "value/policy": float(terms.value),
        "value/generated": float((laws.generated.exp() * laws.predicted).sum()),
        "value/data": float((laws.data.exp() * laws.reward).sum()),
    }
    sessions = whole_sessions(list_prefixes(*size, rewards=(0.0, 1.0)))
    whole = PrefixLaws.concat([_last(met.laws(batch, rewards=True)) for batch in sessions])
    earned = torch.cat([batch.reward.double().sum(1) for batch in sessions])
    scores = _scores(met, sessions, whole)
    chance, logged = whole.generated.exp(), whole.data.exp()
    return {
        **values,
        **_estimates({name: _moments(score, earned, chance) for name, score in scores.items()}, values["value/data"]),
        "estimate/prefix": float(estimated_value(laws, LAMBDA_1)),
        "variance/data": float((logged * (earned - values["value/data"]) ** 2).sum()),
        **{f"terms/{name}": float(term) for name, term in vars(terms).items()},
        **_spreads(biases(laws, LAMBDA_1), laws.policy.exp(), laws.data.exp()),
        "distance/policy": float((whole.policy.exp() - chance).abs().sum() / 2),
        "distance/data": float((logged - chance).abs().sum() / 2),
    }


@torch.no_grad()
def sampled_figures(met: Encounter, sessions: int, streams: Streams) -> Figures:
    """As `exact_figures`, from ``sessions`` sessions of each law, and how degenerate the ratios of chances are."""
    learned = LearnedWorld(met.user)
    made, played, logged = (
        rollout(policy, world, sessions, max_length=met.clicks, generator=streams.torch(name))
        for name, policy, world in (
            ("generated", met.policy, learned),
            ("policy", met.policy, met.world),
            ("data", met.logging, met.world),
        )
    )
    values = {
        f"value/{name}": float(batch.reward.sum(1).mean())
        for name, batch in (("policy", played), ("generated", made), ("data", logged))
    }
    whole = _last(met.laws(made, rewards=True), made)
    scores, earned = _scores(met, [made], whole), made.reward.double().sum(1)
    equal = torch.full_like(earned, 1 / sessions)
    on_policy, on_data = (met.laws(batch).take(batch.real) for batch in (played, logged))
    found, shifted = biases(on_policy, LAMBDA_1), biases(on_data, LAMBDA_1)
    ones = (torch.ones_like(found.weight), torch.ones_like(shifted.weight))
    truth = _last(met.laws(played, rewards=True), played)
    return {
        **values,
        **_estimates({name: _moments(score, earned, equal) for name, score in scores.items()}, values["value/data"]),
        "variance/data": float(logged.reward.double().sum(1).var()),
        **_spreads(Biases(found.delta, found.delta_1, shifted.delta_2, found.weight), *ones),
        "distance/policy": float((1 - (whole.policy - whole.generated).exp()).clamp(min=0).mean()),
        "distance/data": float((1 - (whole.data - whole.generated).exp()).clamp(min=0).mean()),
        "ratio/policy_share": _share(whole.policy - whole.generated),
        "ratio/data_share": _share((truth.policy - truth.data)[truth.data.isfinite()]),
        "ratio/log_sd": _log_sd(truth.policy - truth.data),
        "ratio/impossible": float((whole.data == -torch.inf).double().mean()),
        "ratio/negligible": float((optimal_discriminator(whole.data, whole.generated) < 1e-3).double().mean()),
    }


@torch.no_grad()
def finite_samples(
    met: Encounter, *, sessions: int, repeats: int, completions: int, streams: Streams, value_data: float
) -> dict[str, Figures]:
    """Mean and standard deviation of each estimate of V_pi over ``repeats`` samples of generated sessions.

    Scores are Monte-Carlo means over ``completions`` completions, as in training. What logged sessions earn
    is held at its expectation ``value_data``: the discriminator does not touch it.
    """
    stage = Stage(met.policy, LearnedWorld(met.user), met.clicks, met.judge)
    count, generator = sessions * repeats, streams.torch("finite")
    if met.judge is None:
        made = rollout(stage.policy, stage.world, count, max_length=met.clicks, generator=generator)
    else:
        made = scored_rollout(stage, count, completions=completions, generator=generator)
    whole, reward = _last(met.laws(made, rewards=True), made), made.reward.double()
    weighed = {"plain": (reward.sum(1), torch.ones(count, dtype=torch.float64))}
    if met.judge is not None:
        weighed["learned"] = ((made.score * reward).sum(1), _at_end(made.score.double(), made))
    best = optimal_discriminator(whole.data, whole.generated)
    weighed["optimal"] = (best * reward.sum(1), best)
    found = {}
    for name, pair in weighed.items():
        total, weight = (x.reshape(repeats, sessions).mean(1) for x in pair)  # (R,)
        found[name] = _spread_of(total, value_data)
        found[f"{name}_normalised"] = _spread_of(total / weight.clamp(min=1e-300), value_data)
    return found


def _spread_of(generated: Tensor, value_data: float) -> Figures:
    value = LAMBDA_1 * generated + (1 - LAMBDA_1) * value_data
    return {"mean": float(value.mean()), "sd": float(value.std())}


def _scores(met: Encounter, sessions: list[SessionBatch], whole: PrefixLaws) -> dict[str, Tensor]:
    """The weights (S,) of whole sessions: none, the learned D and the optimal one."""
    scores = {"plain": torch.ones_like(whole.generated)}
    if met.judge is not None:
        scores["learned"] = torch.cat([torch.sigmoid(met.judge(batch).double()) for batch in sessions])
    scores["optimal"] = optimal_discriminator(whole.data, whole.generated)
    return scores


def _moments(score: Tensor, earned: Tensor, chance: Tensor) -> tuple[float, float, float]:
    """Under the law ``chance`` (S,): the mean score, and the mean and variance of score times earnings."""
    mean = float((chance * score * earned).sum())
    return float((chance * score).sum()), mean, float((chance * (score * earned - mean) ** 2).sum())


def _estimates(moments: dict[str, tuple[float, float, float]], value_data: float) -> Figures:
    """Eq. (12) with each weight, as it stands and with its generated part divided by the mean weight."""
    found: Figures = {}
    for name, (score, mean, variance) in moments.items():
        found[f"score/{name}"] = score
        found[f"estimate/{name}"] = LAMBDA_1 * mean + (1 - LAMBDA_1) * value_data
        normalised = mean / score if score > 0 else float("nan")
        found[f"estimate/{name}_normalised"] = LAMBDA_1 * normalised + (1 - LAMBDA_1) * value_data
        found[f"variance/{name}"] = variance
    return found


def _spreads(found: Biases, policy: Tensor, data: Tensor) -> Figures:
    """Means per step: of Delta, delta_1 and w_t where pi goes, of delta_2 where the log is."""
    figures: Figures = {}
    places = {"delta": policy, "delta_1": policy, "delta_2": data, "weight": policy}
    for name, chance in places.items():
        met = chance > 0
        value, share = getattr(found, name)[met], chance[met] / chance[met].sum()
        mean = (share * value).sum()
        figures[f"{name}/mean"] = float(mean)
        figures[f"{name}/mean_abs"] = float((share * value.abs()).sum())
        figures[f"{name}/sd"] = float((share * (value - mean) ** 2).sum().sqrt())
    return figures


def _share(log_ratio: Tensor) -> float:
    """The effective share of sessions weighed by a ratio of chances; 0 where none has a weight."""
    if not len(log_ratio) or not bool((log_ratio > -torch.inf).any()):
        return 0.0
    return float(effective_sample_share((log_ratio - log_ratio.max()).exp()))


def _log_sd(log_ratio: Tensor) -> float:
    finite = log_ratio[log_ratio.isfinite()]
    return float(finite.std()) if len(finite) > 1 else float("nan")


def _prefix_sums(value: Tensor, real: Tensor) -> Tensor:
    """Sums over the steps up to each, of values (M,) at real steps. (B, T) float64"""
    return torch.zeros_like(real, dtype=torch.float64).masked_scatter(real, value.double()).cumsum(1)


def _last(laws: PrefixLaws, batch: SessionBatch | None = None) -> PrefixLaws:
    """Those of whole sessions (B,); without a ``batch`` all are of one length."""
    if batch is None:
        return PrefixLaws(**{name: value[:, -1] for name, value in vars(laws).items()})
    return PrefixLaws(**{name: _at_end(value, batch) for name, value in vars(laws).items()})


def _at_end(value: Tensor, batch: SessionBatch) -> Tensor:
    return value.gather(1, batch.steps[:, None] - 1).squeeze(1)
