import numpy as np
import pytest

from irecgan.experiments.table1.per_session import Pooled
from irecgan.experiments.table1.results import Part


def repeat(sessions: list[str], steps: list[float], sums: list[float]) -> dict[str, dict[str, object]]:
    return {"p@1": {"session": sessions, "steps": steps, "sum": sums}}


def test_a_session_of_several_repeats_counts_as_one() -> None:
    """Session b has 2 + 2 steps and 1 + 2 hits; in all 4 hits of 7 steps."""
    pooled = Pooled.of([repeat(["a", "b"], [1, 2], [0, 1]), repeat(["b", "c"], [2, 2], [2, 1])], "p@1")
    assert pooled.sessions == ("a", "b", "c")
    assert pooled.steps.tolist() == [1, 4, 2]
    assert pooled.sums.tolist() == [0, 3, 1]
    assert pooled.mean == pooled.interval().mean == pytest.approx(4 / 7)


def test_repeats_of_the_same_sessions_do_not_narrow_an_interval() -> None:
    """The negative control: three times the same measurement knows no more than one."""
    g = np.random.default_rng(0)
    steps, sessions = [1.0 + i % 3 for i in range(50)], [str(i) for i in range(50)]
    once = repeat(sessions, steps, [float(g.integers(int(n) + 1)) for n in steps])
    assert Pooled.of([once] * 3, "p@1").interval() == pytest.approx(Pooled.of([once], "p@1").interval())


def test_differences_are_of_the_same_sessions() -> None:
    ours = Pooled.of([repeat(["a", "b"], [1, 3], [1, 2])], "p@1")
    theirs = Pooled.of([repeat(["a", "b"], [1, 3], [0, 3])], "p@1")
    assert ours.minus(theirs).shares() == [0.5, -0.5]  # 1 and -1 of 2 steps a session
    assert ours.minus(theirs).interval().mean == 0
    with pytest.raises(ValueError, match="found other sessions or steps"):
        ours.minus(Pooled.of([repeat(["a", "c"], [1, 3], [0, 3])], "p@1"))


def test_intervals_of_few_sessions_stay_within_what_can_be() -> None:
    """Of three lists two or none are hit: by the normal approximation the shares reach above 1 and below 0."""
    most, least = (
        [{"sessions": repeat(["a", "b", "c"], [1, 1, 1], sums)}] for sums in ([1.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    )
    part = Part("mine", "random", {"most": most, "least": least})
    assert part.mean("most", "p@1").high == 1.0
    assert part.mean("least", "p@1").low == 0.0
    assert 0 < part.mean("most", "p@1").low < 2 / 3
    assert part.less("most", "least", "p@1").high == 1.0
    alone = Part("mine", "random", {"one": [{"sessions": repeat(["a"], [2], [1])}]})
    assert str(alone.mean("one", "p@1")) == "0.500"


def test_shares_spread_as_their_interval_does() -> None:
    """Of sessions that are all better by .3 a step nothing is left to chance, however long they are."""
    g = np.random.default_rng(1)
    steps = g.integers(1, 20, 200).astype(float)
    certain = Pooled(tuple(range(200)), steps, 0.3 * steps)
    assert certain.shares() == pytest.approx([0.3] * 200)
    noisy = Pooled(tuple(range(200)), steps, g.binomial(steps.astype(int), 0.3).astype(float))
    spread = 1.959964 * np.std(noisy.shares(), ddof=1) / np.sqrt(200)
    assert np.mean(noisy.shares()) == pytest.approx(noisy.mean)
    assert noisy.interval().high - noisy.mean == pytest.approx(spread)
