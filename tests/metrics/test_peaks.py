"""The share of anomalies whose highest score lies on them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vetime_plugins.errors import InputError
from vetime_plugins.metrics import evaluate, exact_peak_rate


def _plain(labels: list[int], scores: list[float], buffer: int) -> float:
    """Walk from each anomaly outwards, point by point."""
    edges = np.flatnonzero(np.diff([0, *labels, 0])).reshape(-1, 2)
    exact = []
    for i, (start, stop) in enumerate(edges):
        low = 0 if i == 0 else (edges[i - 1][1] + start) // 2
        high = len(labels) if i == len(edges) - 1 else (stop + edges[i + 1][0]) // 2
        outside = [t for t in range(low, high) if 0 < start - t <= buffer or 0 <= t - stop < buffer]
        exact.append(all(max(scores[start:stop]) > scores[t] for t in outside))
    return sum(exact) / len(exact)


@pytest.mark.parametrize("seed", range(20))
def test_it_equals_the_plain_walk(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=60).repeat(rng.integers(1, 5, 60)) < 0.2).astype(int)
    scores = labels + 1.5 * rng.uniform(size=labels.size).round(1)
    if not 0 < labels.sum() < labels.size:
        pytest.skip("nothing to detect")
    buffer = int(rng.integers(1, 20))
    assert exact_peak_rate(labels, scores, buffer) == pytest.approx(_plain([*labels], [*scores], buffer))


def test_a_plateau_over_the_edge_is_not_exact() -> None:
    assert exact_peak_rate([0, 0, 1, 0, 0], [0, 0, 5, 5, 0], 2) == 0
    assert exact_peak_rate([0, 0, 1, 0, 0], [0, 0, 5, 4, 0], 2) == 1


def test_what_is_farther_than_the_buffer_does_not_count() -> None:
    assert exact_peak_rate([0, 0, 0, 1], [9, 0, 0, 5], 2) == 1
    assert exact_peak_rate([0, 0, 0, 1], [9, 0, 0, 5], 3) == 0


def test_neighbours_share_what_lies_between_them() -> None:
    # The high point belongs to the second anomaly, which it spoils; the first is exact.
    assert exact_peak_rate([0, 1, 0, 0, 0, 0, 1, 0], [0, 5, 0, 0, 0, 9, 4, 0], 7) == 0.5


def test_without_surroundings_there_is_one_point() -> None:
    assert exact_peak_rate([0, 1, 0], [2, 1, 0], 0) == 0


def test_it_is_undefined_without_an_anomaly() -> None:
    assert math.isnan(exact_peak_rate([0, 0], [1, 2], 1))


def test_the_suite_has_it() -> None:
    assert evaluate([0, 1, 0], [0, 1, 0], 1, metrics="Exact-Peak") == {"Exact-Peak": 1.0}


def test_a_bad_buffer_is_an_error() -> None:
    with pytest.raises(InputError):
        exact_peak_rate([0, 1], [0, 1], -1)
