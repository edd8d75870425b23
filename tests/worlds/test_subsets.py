from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irecgan.worlds.subsets import inclusion_over_sum


def listed(weight: list[float], size: int) -> list[float]:
    subsets = list(combinations(range(len(weight)), size))
    return [
        sum(1 / sum(weight[i] for i in a) for a in subsets if j in a) / len(subsets) if weight[j] > 0 else 0.0
        for j in range(len(weight))
    ]


WEIGHTS = st.one_of(st.just(0.0), st.floats(1e-12, 1.0), st.floats(0.01, 1.0))


@given(st.lists(WEIGHTS, min_size=1, max_size=7), st.data())
def test_the_integral_equals_the_sum_over_all_subsets(weight: list[float], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(weight)))
    found = inclusion_over_sum(torch.tensor(weight, dtype=torch.float64), size)
    assert found.tolist() == pytest.approx(listed(weight, size), rel=1e-11)


@pytest.mark.parametrize(("items", "size"), [(50, 10), (300, 20), (40, 39), (1000, 1)])
def test_candidates_of_large_catalogues_sum_to_one(items: int, size: int) -> None:
    weight = torch.rand(items, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    total = (weight * inclusion_over_sum(weight, size)).sum().item()
    assert total == pytest.approx(1, abs=1e-10)
