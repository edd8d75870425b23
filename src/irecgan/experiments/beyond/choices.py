"""What ``auto`` chose, and what the truth says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from scipy import stats

from irecgan.evaluation.intervals import Interval
from irecgan.experiments.beyond.results import Panel
from irecgan.experiments.beyond.settings import AUTO
from irecgan.experiments.frame.seeds import over_seeds

_SAME = 1e-9  # the same policy earns the same to the last bit, whoever chose it


@dataclass(frozen=True)
class Choice:
    """One log: the candidates that were compared and trained on their own as well."""

    estimates: dict[str, float]  # what the evidence said of each
    true: dict[str, float]  # the reward of each in the world
    learned: str
    reward: float  # of auto

    @property
    def best(self) -> str:
        """The candidate that is truly best, the simplest where several are."""
        return max(self.true, key=lambda name: self.true[name])

    @property
    def regret(self) -> float:
        """What was lost against the truly best."""
        return self.true[self.best] - self.reward

    @property
    def is_right(self) -> bool:
        """Whether nothing was."""
        return self.regret <= _SAME

    @property
    def agreement(self) -> float | None:
        """Rank correlation of estimates and truths (Spearman); None where either tells no two apart."""
        if min(len(set(self.estimates.values())), len(set(self.true.values()))) < 2:
            return None
        found = stats.spearmanr(list(self.estimates.values()), [self.true[name] for name in self.estimates])
        return float(found.statistic)


def choices(panel: Panel) -> list[Choice]:
    """One for each seed; none where nothing was chosen, or no candidate stands beside it."""
    found = []
    for seed, result in enumerate(panel.rows.get(AUTO, [])):
        decision = result["decision"]
        estimates = {c["name"]: c["estimate"] for c in decision["candidates"] if c["estimate"] is not None}
        known = {name: estimate for name, estimate in estimates.items() if name in panel.rows}
        true = {name: panel.values(name)[seed] for name in known}
        if true:
            found.append(Choice(known, true, decision["learned"], panel.values(AUTO)[seed]))
    return found


def regret(found: Sequence[Choice]) -> Interval:
    """The mean loss of `choices` over seeds."""
    return over_seeds([choice.regret for choice in found])


def agreement(found: Sequence[Choice]) -> float | None:
    """The mean rank correlation, of those seeds that have one."""
    known = [choice.agreement for choice in found if choice.agreement is not None]
    return mean(known) if known else None
