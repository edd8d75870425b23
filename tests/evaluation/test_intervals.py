import numpy as np
import pytest

from irecgan.evaluation.intervals import Interval, bootstrap_ratios, normal_ratios


def test_means_are_over_steps_not_sessions() -> None:
    totals, counts = np.array([[1.0], [0.0]]), np.array([1.0, 3.0])
    assert bootstrap_ratios(totals, counts, np.random.default_rng(0))[0].mean == pytest.approx(0.25)
    assert normal_ratios(totals, counts)[0].mean == pytest.approx(0.25)


@pytest.mark.parametrize("kind", ["bootstrap", "normal"])
def test_intervals_hold_the_truth_about_95_times_in_100(kind: str) -> None:
    """Sessions of 1 to 5 steps; the chance of a hit differs between sessions, so steps are not independent."""
    random = np.random.default_rng(1)
    truth, inside, trials = None, 0, 200
    chances, lengths = random.beta(2, 3, 100_000), random.integers(1, 6, 100_000)
    truth = (chances * lengths).sum() / lengths.sum()
    for _ in range(trials):
        rows = random.integers(0, 100_000, 150)
        counts = lengths[rows].astype(float)
        totals = random.binomial(lengths[rows], chances[rows]).astype(float)[:, None]
        interval = bootstrap_ratios(totals, counts, random) if kind == "bootstrap" else normal_ratios(totals, counts)
        inside += interval[0].low <= truth <= interval[0].high
    assert 0.89 <= inside / trials <= 0.99


def test_the_two_ways_agree_on_many_sessions() -> None:
    random = np.random.default_rng(2)
    counts = random.integers(1, 5, 2_000).astype(float)
    totals = random.normal(1, 1, (2_000, 2)) * counts[:, None]
    for one, other in zip(bootstrap_ratios(totals, counts, random), normal_ratios(totals, counts), strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.02)


def test_exact_values() -> None:
    assert Interval.exact(2.0).to_json() == {"mean": 2.0, "low": 2.0, "high": 2.0}
    assert str(Interval.exact(2.0)) == "2.000  (exact)"
    assert str(Interval(0.5, 0.5, 0.5)) == "0.500 [0.500, 0.500]"  # an estimate, however narrow


@pytest.mark.parametrize("kind", ["bootstrap", "normal"])
def test_one_session_spans_no_interval(kind: str) -> None:
    """It would have a width of 0, as if its mean were certain."""
    totals, counts = np.array([[2.0]]), np.array([4.0])
    of_one = bootstrap_ratios(totals, counts, np.random.default_rng(0)) if kind == "bootstrap" else None
    (alone,) = of_one or normal_ratios(totals, counts)
    assert alone.to_json() == {"mean": 0.5, "low": None, "high": None}
    assert alone.text(".1f", times=100, unit=" %") == "50.0 %"
