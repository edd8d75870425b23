"""What the weights of terms mean: how many times as likely one item is clicked as another, and how surely.

A single weight says little, since features go together: the item clicked last was also clicked before. A `Contrast`
adds the weights in which two items differ; e to the sum is the ratio of their chances within one list.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from irecgan.models.terms import Feature, TermName, Terms

Z = 1.96
"""Standard errors on either side, for intervals of 95 %."""
VAGUE = 1.5
"""Standard errors from which on the log does not tell: the interval's ends are 300 times apart."""
_TWICE = math.log(2)


@dataclass(frozen=True)
class Weight:
    """One weight of a feature, or of one of its levels."""

    term: TermName
    feature: str
    level: str | None
    against: str | None  # the level that it is measured from
    value: float
    error: float  # standard error

    @property
    def low(self) -> float:
        """The lower end of its 95 % interval."""
        return self.value - Z * self.error

    @property
    def high(self) -> float:
        """The upper end."""
        return self.value + Z * self.error


@dataclass(frozen=True)
class Contrast:
    """``one`` item is ``ratio`` times as likely to be clicked as an ``other`` of the same list, all else equal."""

    term: TermName
    one: str
    other: str
    log_ratio: float
    error: float  # standard error of the logarithm

    @property
    def known(self) -> bool:
        """Whether the log tells it."""
        return self.error < VAGUE

    @property
    def ratio(self) -> float:
        """How many times as likely."""
        return math.exp(self.log_ratio)

    @property
    def interval(self) -> tuple[float, float]:
        """The ratio's 95 % interval."""
        low, high = (math.exp(min(self.log_ratio + sign * Z * self.error, 700.0)) for sign in (-1, 1))
        return low, high

    def __str__(self) -> str:
        """The contrast in words, if it is known."""
        low, high = (_number(end) for end in self.interval)
        return (
            f"{self.one} is {_number(self.ratio)} times as likely to be clicked as {self.other} (95 %: {low} to {high})"
        )


def weights(terms: Terms) -> list[Weight]:
    """All weights of ``terms``; those of levels against one of them, as only their differences count."""
    return [_weight(terms, feature, level) for feature in terms.features for level in (feature.levels or (None,))]


def _weight(terms: Terms, feature: Feature, level: str | None) -> Weight:
    against = _AGAINST.get(feature.name)
    parts = {(feature.name, level): 1.0}
    if against is not None:
        parts[feature.name, against] = parts.get((feature.name, against), 0.0) - 1.0
    value, error = _sum(terms, parts)
    return Weight(feature.term, feature.name, level, against, value, error)


_AGAINST = {"rank": "1", "places behind, same list": "+1", "places behind, other list": "+1"}


def contrasts(terms: Terms) -> list[Contrast]:
    """What ``terms`` say in words, term by term."""
    return [
        Contrast(name, one, other, *_sum(terms, parts))
        for name, one, other, parts in _ASKED
        if name in terms.names and all(feature in terms.places for feature, _ in parts)
    ]


Parts = Mapping[tuple[str, str | None], float]
"""By feature and level: how much more the one item has of it than the other."""


def _sum(terms: Terms, parts: Parts) -> tuple[float, float]:
    """The sum of weights, each so many times, and its standard error."""
    direction = torch.zeros(len(terms.weight), dtype=torch.float64)
    for (name, level), amount in parts.items():
        feature = next(f for f in terms.features if f.name == name)
        place = 0 if level is None else feature.levels.index(level)
        direction[terms.places[name].start + place] += amount
    weight, covariance = terms.weight.detach().cpu().double(), terms.covariance.cpu().double()
    return float(direction @ weight), math.sqrt(max(float(direction @ covariance @ direction), 0.0))


def _ranks(one: int, other: int) -> tuple[TermName, str, str, Parts]:
    words = (f"an item at rank {one}", f"at rank {other}")
    return ("rank", *words, {("rank", str(one)): 1.0, ("rank", str(other)): -1.0})


def _clicked(words: str, *features: str, places: str | None = None) -> Iterator[tuple[TermName, str, str, Parts]]:
    """An item clicked once against one that was not; ``places``: and stands right below it.

    Where rewards go with all clicks, or none, the log does not tell one of the two.
    """
    parts: Parts = {("clicked before", None): 1.0, ("log clicks before", None): _TWICE}
    parts = {**parts, **{(feature, None): 1.0 for feature in features}}
    other = "one not clicked"
    if places is not None:
        parts, other = {**parts, (places, "+1"): -1.0}, "the one right below it, not clicked"
    yield "repeat", f"the item clicked {words}, without a reward,", other, parts
    yield "repeat", f"the item clicked {words}, with a reward,", other, {**parts, ("rewarded before", None): 1.0}


def _places(words: str, name: str) -> Iterator[tuple[TermName, str, str, Parts]]:
    """An item against another, by where they stand."""
    one = f"in {words} list, the item right below the one touched last"
    yield "list", one, "the one right above it", {(name, "+1"): 1.0, (name, "-1"): -1.0}
    yield "list", one, "one 6 to 10 places below it", {(name, "+1"): 1.0, (name, "+6..+10"): -1.0}


def _touched(words: str, name: str) -> Iterator[tuple[TermName, str, str, Parts]]:
    """An item touched once against one that was not."""
    yield "touches", f"an item {words}", "one that was not", {(name, None): 1.0, (f"log times {name}", None): _TWICE}


_TOUCHED = ("touched last", "clicked last")

_ASKED: Sequence[tuple[TermName, str, str, Parts]] = (
    *(_ranks(1, other) for other in (2, 3, 5, 10, 20)),
    *_clicked("last, in the same list", *_TOUCHED, "touched last, same list"),
    *_clicked("last, in the same list", *_TOUCHED, "touched last, same list", places="places behind, same list"),
    *_clicked("last, in another list", *_TOUCHED),
    *_clicked("last, in another list", *_TOUCHED, places="places behind, other list"),
    *_clicked("once, but not last"),
    ("repeat", "an item whose click had a reward", "one whose click had none", {("rewarded before", None): 1.0}),
    ("list", "an item shown before in the session", "a new one", {("shown before", None): 1.0}),
    *_places("the same", "places behind, same list"),
    *_places("another", "places behind, other list"),
    ("popularity", "an item of twice as many clicks in the log", "another", {("log clicks in the log", None): _TWICE}),
    ("click_rate", "an item of twice the click rate", "another", {("log click rate in the log", None): _TWICE}),
    ("co_click", "an item of cosine .1 to the last click", "one of 0", {("co-clicks with the session", None): 0.1}),
    *_touched("touched in the session, but not clicked,", "touched in the session"),
    *_touched("touched once in the user's earlier sessions", "touched in earlier sessions"),
)


def _number(value: float) -> str:
    """Three digits, without an exponent where people can do without."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
