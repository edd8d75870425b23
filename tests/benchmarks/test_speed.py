"""What benchmarks of speed measure and say of it."""

import argparse
import itertools
from typing import Any

import pytest

import before_after
import speed_lengths
import training


class Work:
    """A class whose methods a stopwatch is placed at."""

    name = "learning"

    def unit(self) -> int:
        return self.epoch() + self.epoch()

    def epoch(self) -> int:
        return 1


def test_a_stopwatch_counts_each_part_alone_and_once() -> None:
    ticks = itertools.count()
    watch = training.Stopwatch(lambda: (float(now := next(ticks)), 2.0 * now))
    watch.watch(Work, "unit", lambda work: str(work.name), phase=True)
    watch.watch(Work, "epoch", "epochs")
    work = Work()
    assert work.unit() == 2
    assert work.epoch() == 1  # outside of any phase
    found = {(row["phase"], row["part"]): row for row in watch.rows()}
    # Reading the clock takes a tick: the unit 0 to 5, its epochs 1 to 2 and 3 to 4, the last one 6 to 7.
    assert {key: row["seconds"] for key, row in found.items()} == {
        ("learning", "epochs"): 2.0,
        ("learning", "besides"): 3.0,
        ("around", "epochs"): 1.0,
    }
    assert found["learning", "epochs"]["calls"] == 2
    assert found["learning", "epochs"]["processor"] == 4.0
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)
    sums = training.by_part(watch.rows())
    assert [(row["part"], row["calls"], row["seconds"]) for row in sums] == [("epochs", 3, 3.0), ("besides", 1, 3.0)]


def test_every_piece_of_work_before_and_after_tells_its_steps() -> None:
    small = {"units": 8, "sessions": 20, "generated": 5, "scored": 2, "evaluated": 10}
    works = before_after.works("random", argparse.Namespace(**small))
    assert all(work() > 0 for work in works.values())
    assert tuple(works) == before_after.WORKS


def test_ratios_are_medians_with_their_extremes() -> None:
    row = {"log": "max", "work": "generation", "seconds of a step": [(0.4, 0.1), (0.3, 0.1), (0.5, 0.1)]}
    text = before_after.table([row | {"before / after": [4.0, 3.0, 5.0]}])
    assert text.splitlines()[1].split() == ["max", "generation", "400", "100", "4.00", "[3.00,", "5.00]"]


def test_users_of_the_plot_never_leave() -> None:
    made = speed_lengths.networks(8)
    for scored in (False, True):
        batch: Any = speed_lengths.batched(made, 3, 4, scored=scored)()
        assert batch.clicked.sum(1).tolist() == [3] * 4
        found: Any = speed_lengths.plainly(made, 3, scored=scored)()
        session = found[0] if scored else found
        assert len(session.clicks) == 3
