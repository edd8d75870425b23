"""What the paper claims of the discriminator (section 6), as differences that should be positive."""

from collections.abc import Iterator, Sequence

from irecgan.experiments.bias.results import Group, Pick, change, deviation, model_bias, size_of_bias
from irecgan.experiments.frame.verdicts import Comparison

_WORTHWHILE = 0.02  # of a value of about 1 to 3 clicks


def comparisons(groups: Sequence[Group]) -> list[Comparison]:
    """Every comparison, over worlds and logs."""
    return [comparison for group in groups for comparison in _of(group)]


def _of(group: Group) -> Iterator[Comparison]:
    yield from _lower("The learned D as a weight lowers the bias of the value", group, change("learned", size_of_bias))
    normalised = change("learned_normalised", size_of_bias)
    yield from _lower("Not in the paper: so does the learned D divided by its mean", group, normalised)
    spread = change("learned_normalised", deviation)
    yield from _lower("Not in the paper: the learned D divided by its mean lowers the variance", group, spread)
    taught, untaught = (group.values(arm, model_bias) for arm in ("irecgan", "unscored"))
    if taught is not None and untaught is not None:
        differences = [b - a for a, b in zip(taught, untaught, strict=True)]
        yield Comparison(
            "U learns a less biased value with D's scores than without", group.title, differences, _WORTHWHILE
        )


def _lower(claim: str, group: Group, pick: Pick) -> Iterator[Comparison]:
    changes = group.values("irecgan", pick)
    if changes is not None:
        yield Comparison(claim, group.title, [-value for value in changes], _WORTHWHILE)
