import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from irecgan.experiments.frame.seeds import over_seeds
from irecgan.experiments.frame.verdicts import Comparison, Verdict, holm, judge

UP = [1.0, 1.2, 0.9, 1.1, 1.0]


def compared(differences: list[float], claim: str = "a beats b", worthwhile: float = 0.05) -> Comparison:
    return Comparison(claim, "here", differences, worthwhile)


def test_the_test_is_the_paired_t_test() -> None:
    (claim,) = judge([compared(UP)])
    test = claim.tests[0]
    expected = stats.ttest_rel([10 + x for x in UP], [10.0] * 5)
    assert test.mean == pytest.approx(np.mean(UP))
    assert test.p == pytest.approx(expected.pvalue)
    assert (test.low, test.high) == pytest.approx(tuple(expected.confidence_interval()))


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        (UP, Verdict.HOLDS),
        ([-x for x in UP], Verdict.FAILS),
        ([0.001, -0.002, 0.0, 0.001, -0.001], Verdict.FAILS),  # no difference worth having
        ([1.0, -1.0, 2.0, -2.0, 0.5], Verdict.OPEN),
        ([1.0], Verdict.OPEN),  # one seed decides nothing
        ([0.0, 0.0, 0.0], Verdict.FAILS),
        ([0.5, 0.5, 0.5], Verdict.HOLDS),
    ],
)
def test_verdict_of_a_comparison(differences: list[float], verdict: Verdict) -> None:
    assert judge([compared(differences)])[0].tests[0].verdict == verdict


def test_a_claim_holds_only_if_all_its_comparisons_do() -> None:
    noise = [1.0, -1.0, 2.0, -2.0, 0.5]
    down = [-x for x in UP]
    claims = {
        "all": [UP, UP],
        "one open": [UP, noise],
        "one fails": [UP, noise, down],
    }
    found = judge([compared(d, claim) for claim, all_d in claims.items() for d in all_d])
    assert {claim.claim: claim.verdict for claim in found} == {
        "all": Verdict.HOLDS,
        "one open": Verdict.OPEN,
        "one fails": Verdict.FAILS,
    }
    assert found[2].count == "1 hold, 1 fail, 1 open"


def test_more_comparisons_ask_for_more_evidence() -> None:
    weak = [1.0, 0.2, 0.9, 0.1, 1.2]
    alone = judge([compared(weak)])[0].tests[0]
    among = judge([compared(weak), *[compared([1.0, -1.0, 2.0, -2.0, 0.5])] * 9])[0].tests[0]
    assert alone.verdict == Verdict.HOLDS
    assert among.p > alone.p
    assert among.verdict == Verdict.OPEN


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_p_keeps_its_order_and_is_at_most_bonferroni(p: list[float]) -> None:
    corrected = np.array(holm(p))
    assert (corrected >= np.array(p)).all()
    assert (corrected <= np.minimum(np.array(p) * len(p), 1) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()


def test_no_wrong_claim_of_noise_more_often_than_the_level() -> None:
    """Under no difference at all, some comparison of a claim of 6 is decided in at most 5 % of studies."""
    draws = np.random.default_rng(0).normal(size=(400, 6, 5))
    found = [judge([compared(list(row), worthwhile=-np.inf) for row in study])[0] for study in draws]
    wrong = sum(any(test.verdict != Verdict.OPEN for test in claim.tests) for claim in found)
    assert wrong / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_json_has_finite_numbers_only() -> None:
    claim = judge([compared([1.0])])[0].to_json()
    assert claim["tests"][0]["low"] is None
    assert claim["tests"][0]["mean"] == 1.0


def test_intervals_over_seeds_are_those_of_student() -> None:
    interval = over_seeds([1.0, 2.0, 3.0, 4.0])
    error = 3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2  # the 97.5 % quantile of t with 3 degrees of freedom
    assert (interval.mean, interval.low, interval.high) == pytest.approx((2.5, 2.5 - error, 2.5 + error), rel=1e-6)
    assert over_seeds([2.0]).low == over_seeds([2.0]).high == 2.0


def test_a_test_of_one_seed_says_no_more_than_its_difference() -> None:
    (alone,), (pair,) = (judge([compared(differences)])[0].tests for differences in ([0.5], [0.5, 1.5]))
    assert str(alone) == "+0.500"
    assert str(pair) == "+1.000 [-5.353, +7.353], p 0.295"
