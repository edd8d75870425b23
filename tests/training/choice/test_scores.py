"""Who wins, and by how much it has to."""

import math

import pytest
import torch
from torch import Tensor

from irecgan.training.choice.auto import are_trusted, highest, to_beat, winner
from irecgan.training.choice.judges import Scores


def scores(first: float, second: float, spread: float = 1.0, sessions: int = 100) -> Scores:
    """Halves of alternating sessions, ``spread`` above and below their means."""
    sign = torch.tensor([1.0, -1.0]).repeat(sessions // 2)
    return Scores((first + spread * sign, second + spread * sign))


def test_halves_count_alike_and_errors_are_of_sessions_and_between_halves() -> None:
    uneven = Scores((torch.full((10,), 2.0), torch.full((1_000,), 4.0)))
    assert uneven.mean == 3.0
    assert uneven.error == pytest.approx(1.0)  # half of what the halves differ by
    same = scores(3.0, 3.0)
    variance = 100 / 99 / 100
    assert same.error == pytest.approx(math.sqrt(2 * variance / 4))


def test_sessions_are_paired() -> None:
    ahead = scores(3.5, 3.5)
    assert scores(3.0, 3.0).behind(ahead) == pytest.approx(0.5)
    assert scores(3.0, 3.0).error_behind(ahead) == pytest.approx(0.0, abs=1e-6)


def test_the_first_candidate_is_kept_unless_it_is_clearly_beaten() -> None:
    simple = scores(3.0, 3.0)
    assert winner({"count": simple, "pg": scores(3.2, 3.2)}, "count") == "count"  # by less than a tenth
    assert winner({"count": simple, "pg": scores(3.5, 3.5)}, "count") == "pg"
    assert winner({"count": simple, "pg": scores(2.9, 4.3)}, "count") == "count"  # in one half alone: 0.6 ± 0.7
    assert winner({"count": simple, "pg": scores(3.5, 3.5), "latent": scores(3.6, 3.6)}, "count") == "latent"
    assert highest({"count": simple, "pg": scores(3.2, 3.2)}) == "pg"


def test_fitted_users_are_to_beat_where_they_are_trusted() -> None:
    found = {"count": scores(3.0, 3.0), "pg": scores(3.1, 3.1), "latent": scores(2.9, 2.9)}
    assert to_beat(found, trusted=False) == "count"
    assert to_beat(found, trusted=True) == "latent"
    assert winner(found, "latent") == "latent"
    assert to_beat({"count": scores(3.0, 3.0)}, trusted=True) == "count"


@pytest.mark.parametrize(
    ("silent", "plain", "shown", "trusted"),
    [(1, 0, 1.0, True), (0, 1, 0.5, True), (0, 1, 0.4, False), (0, 0, 0.5, False), (1, 1, 0.2, True)],
)
def test_when_fitted_users_are_trusted(silent: float, plain: float, shown: float, trusted: bool) -> None:
    figures = {"slates/silent": silent, "users/states_by_lists": plain, "users/shown": shown}
    assert are_trusted(figures) == trusted


def test_without_fitted_users_none_are_trusted() -> None:
    assert not are_trusted({"slates/silent": 0.0})


def test_a_single_candidate_wins() -> None:
    assert winner({"pg": Scores((torch.ones(5), torch.ones(5)))}, "pg") == "pg"


def halves(values: Tensor) -> Scores:
    return Scores((values, values))


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_scores_that_shift_together_change_no_order(shift: float) -> None:
    base = torch.linspace(4, 8, 50)
    assert winner({"a": halves(base + shift), "b": halves(2 * base + shift)}, "a") == "b"
