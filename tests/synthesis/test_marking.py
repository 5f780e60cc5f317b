from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins.synthesis import Anomaly, SyntheticSeries, generate
from vetime_plugins.synthesis.marking import HABITS, mark


def series(*spans, total=2000):
    labels = np.zeros(total, np.uint8)
    for start, stop in spans:
        labels[start:stop] = 1
    values = labels[:, None].astype(np.float32)
    kinds = tuple(Anomaly("burst", start, stop, (0,)) for start, stop in spans)
    return SyntheticSeries(values, 0 * values, labels, labels[:, None], kinds, values)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("habit", HABITS)
def test_marks_hold_the_exact_labels(habit):
    for seed in range(8):
        one = generate(1500, seed=seed)
        found = mark(one, rng(seed), {habit: 1.0})
        assert found.dtype == np.uint8
        assert (found >= one.labels).all()
        assert found.mean() <= max(0.5, one.labels.mean())
        np.testing.assert_array_equal(found, mark(one, rng(seed), {habit: 1.0}))


def test_exact_labels_stay():
    one = series((300, 340), (900, 901))
    np.testing.assert_array_equal(mark(one, rng(), {"exact": 1.0}), one.labels)


def test_margins_lie_on_both_sides():
    found = mark(series((300, 340)), rng(), {"margin": 1.0})
    on = np.flatnonzero(found)
    assert 300 - on[0] == on[-1] - 339 > 0
    assert on[-1] - on[0] + 1 == len(on)


def test_a_share_is_spread_over_the_anomalies():
    for seed in range(5):
        found = mark(series((300, 310), (1200, 1240)), rng(seed), {"share": 1.0})
        first, second = found[:700].sum(), found[700:].sum()
        assert 0.02 * 2000 - 2 <= found.sum() <= 0.1 * 2000 + 2
        assert abs(int(first) - int(second)) <= 30


def test_the_aftermath_comes_after():
    found = mark(series((300, 340)), rng(), {"aftermath": 1.0})
    assert not found[:300].any()
    assert found[340:].any()


def test_points_mostly_stay_exact():
    one = series((500, 501))
    exact = [np.array_equal(mark(one, rng(seed), {"margin": 1.0}), one.labels) for seed in range(40)]
    assert 20 <= sum(exact) < 40


def test_a_series_without_anomalies_stays_unmarked():
    for habit in HABITS:
        assert not mark(series(), rng(), {habit: 1.0}).any()
