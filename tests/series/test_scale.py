"""The scale of scores: the same meaning on every series, in the order of the margins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import uniform_filter1d
from scipy.special import log_ndtr

from vetime_plugins.series.readout import read_out
from vetime_plugins.series.scale import calibrate, find_runs, fit_tail, mark_runs, run_peaks, stand_out

RNG = np.random.default_rng


def calm(n: int, seed: int = 0, smooth: int = 9) -> np.ndarray:
    """Return margins (n,) that are skewed and resemble their neighbours, as those of a network are."""
    noise = uniform_filter1d(RNG(seed).normal(size=n + 2 * smooth), smooth)[smooth:-smooth] * smooth**0.5
    return -np.log(-log_ndtr(noise)) - 5


@pytest.mark.parametrize("n", [100, 1000, 10_000, 1_000_000])
def test_share_of_calm_points_above_a_score_is_what_it_says(n):
    draws = 1 if n > 100_000 else 20
    scores = np.concatenate([calibrate(calm(n, seed)) for seed in range(draws)])
    for chance in (0.5, 0.1, 0.01, 0.001):
        if chance * scores.size >= 20:
            observed = (scores > 1 - chance).mean()
            # The few highest of a short series count for less than they are: its tail is hardly known.
            assert (0.03 if chance * n < 30 else 0.6) < observed / chance < 1.6


@pytest.mark.parametrize("distribution", ["normal", "exponential", "heavy"])
def test_a_reference_says_how_rare_later_points_are(distribution):
    draw = {
        "normal": lambda rng, n: rng.normal(size=n),
        "exponential": lambda rng, n: rng.exponential(size=n),
        "heavy": lambda rng, n: rng.standard_t(10, size=n),
    }[distribution]
    observed = []
    for seed in range(10):
        rng = RNG(seed)
        usual = draw(rng, 2000)
        observed.append(calibrate(draw(rng, 20_000), usual))
    # A tail that is lighter than those of networks is taken for heavier than it is, more so further out.
    least = 0.02e-3 if distribution == "normal" else 0.1e-3
    assert least < (np.concatenate(observed) > 1 - 1e-3).mean() < 2e-3
    assert (np.concatenate(observed) > 1 - 1e-4).mean() < 2e-4


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
def test_a_few_anomalous_runs_are_not_the_bulk(share):
    margins = calm(3000)
    clean = calibrate(margins)
    labels = np.zeros(3000, dtype=bool)
    starts = 200 + 550 * np.arange(5)
    for start in starts:
        labels[start : start + int(600 * share)] = True
    margins[labels] += 25
    found = calibrate(margins)
    assert found[labels].min() > 1 - 1e-5
    # The rest keeps its meaning.
    assert np.abs(found[~labels] - clean[~labels]).max() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_lasting_runs_that_recur_are_not_the_bulk(seed):
    margins = calm(3000, seed)
    low, middle = np.quantile(margins, [0.1, 0.5])
    labels = np.zeros(3000, dtype=bool)
    for start in 200 + 550 * np.arange(5):
        labels[start : start + 60] = True
    # No higher than calm peaks may come, but longer.
    margins[labels] = margins[labels].clip(middle - 0.1, middle + 0.1) + 12 * (middle - low)
    assert margins.max() < middle + 14 * (middle - low)
    assert calibrate(margins)[labels].min() > 1 - 1e-3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("steps", "many"), [(1, 6), (30, 4)])
def test_what_recurs_is_no_more_usual_for_it(seed, steps, many):
    def scores_of(count):
        margins = uniform_filter1d(RNG(seed).normal(size=2000), 9)
        low, middle = np.quantile(margins, [0.1, 0.5])
        places = (150 + 300 * np.arange(count)[:, None] + np.arange(steps)).ravel()
        margins[places] = middle + 7 * (middle - low)
        return calibrate(margins), places

    alone, place = scores_of(1)
    together, places = scores_of(many)
    assert together[places].min() > max(alone[place].max(), 1 - 5e-5)
    # What they stand beside keeps its meaning.
    rest = np.delete(together, places)
    assert (rest > 0.99).mean() < 0.015


def test_a_heavy_tail_is_no_recurring_anomaly():
    for seed in range(5):
        margins = RNG(seed).exponential(size=20_000)
        observed = (calibrate(margins) > 1 - 1e-3).mean()
        assert 0.3e-3 < observed < 2e-3


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)),
    st.floats(-10, 10),
    st.integers(-8, 8),
)
def test_order_is_kept_and_nothing_collapses(margins, shift, power):
    scores = calibrate(margins)
    assert ((scores >= 0) & (scores < 1)).all()
    for one, other in ((margins, scores), (scores, margins)):
        order = np.argsort(one, kind="stable")
        rises, follows = np.diff(one[order]) > 0, np.diff(other[order])
        assert (follows[rises] > 0).all()
        assert (follows[~rises] == 0).all()


def test_the_extreme_tail_does_not_saturate():
    margins = calm(2000)
    margins[500:510] = np.linspace(100, 400, 10)
    margins[510] = np.nextafter(400, 500)
    scores = calibrate(margins)
    assert (np.diff(scores[500:511]) > 0).all()
    assert scores.max() < 1


@pytest.mark.parametrize(("factor", "shift"), [(1e-3, 0), (1e4, -7), (1, 1e3)])
def test_unit_and_level_of_margins_do_not_matter(factor, shift):
    margins = calm(700)
    np.testing.assert_allclose(calibrate(factor * margins + shift), calibrate(margins), atol=1e-6)


def test_what_never_changes_scores_zero():
    assert (calibrate(np.full(5, -np.inf)) == 0).all()
    both = np.stack([calm(300), np.full(300, -np.inf)], axis=1)
    scores = read_out(both, "point", [1, 1], scale="tail")
    assert (scores[:, 1] == 0).all()
    np.testing.assert_array_equal(scores[:, 0], calibrate(both[:, 0]))


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20, 50, 99])
def test_short_series_are_told_little(n):
    scores = calibrate(calm(n))
    assert scores.max() < 1 - 0.1 / n
    # One gross anomaly among them is seen all the same.
    if n >= 20:
        margins = calm(n)
        margins[n // 2] += 40
        assert calibrate(margins)[n // 2] > 1 - 0.1 / n


def test_equal_margins_have_equal_scores():
    assert np.unique(calibrate(np.zeros(50))).size == 1
    scores = calibrate(np.r_[np.zeros(40), np.ones(10)])
    assert np.unique(scores[:40]).size == 1
    assert scores[-1] > scores[0]


def test_a_short_reference_is_joined_with_the_series():
    margins = calm(400)
    few, many = calm(50, seed=1) + 30, calm(400, seed=1) + 30
    # A reference on another level: alone it makes everything usual, joined it is a part among others.
    assert calibrate(margins, many).max() < 0.01
    assert calibrate(margins, few).max() > 0.8
    np.testing.assert_array_equal(calibrate(margins, np.full(400, -np.inf)), calibrate(margins))
    np.testing.assert_array_equal(calibrate(margins, np.empty(0)), calibrate(margins))


@pytest.mark.parametrize("how", ["point", "window"])
def test_the_scale_changes_no_order(how):
    margins = calm(500)
    margins[200:220] += 6
    plain = read_out(margins, how, [30])
    scaled = read_out(margins, how, [30], scale="tail")
    np.testing.assert_array_equal(np.argsort(plain, kind="stable"), np.argsort(scaled, kind="stable"))
    assert abs(np.median(scaled) - 0.5) < 0.05


def test_the_logistic_scale_is_the_former_one():
    margins = calm(100)
    np.testing.assert_allclose(read_out(margins, "point", [1]), 1 / (1 + np.exp(-margins)), rtol=1e-12)


def test_alarm_is_rarely_passed_by_calm_series():
    passed = [calm(2000, seed).max() > fit_tail(calm(2000, seed)).alarm() for seed in range(100)]
    assert np.mean(passed) <= 0.05


def test_runs():
    above = np.zeros(40, dtype=bool)
    above[[2, 3, 9, 30, 39]] = True
    values = np.arange(40.0)
    starts, stops = runs = find_runs(above, joined=8)
    assert starts.tolist() == [2, 30]
    assert stops.tolist() == [10, 40]
    assert run_peaks(values, runs).tolist() == [9, 39]
    assert mark_runs(values, 30.5, 38.5).sum() == 9
    # No more than a third of a series is anomalous.
    assert mark_runs(values, 5.5, 38.5).sum() == 0
    assert find_runs(np.zeros(3, dtype=bool))[0].size == 0


def test_a_run_stands_out_by_its_peak_or_by_lasting():
    values = np.zeros(200)
    values[20] = 9
    values[50:54] = values[100:130] = 5
    runs = find_runs(values > 1)
    assert stand_out(values, runs, alarm=8, lasting=4).tolist() == [True, False, True]
    assert stand_out(values, runs, alarm=10, lasting=5.1).tolist() == [False, False, False]
    assert mark_runs(values, 1, 8, 4).sum() == 31
    # At the end of a series the last value stands for those that are not there.
    assert stand_out(np.r_[np.zeros(99), 5.0], find_runs(np.arange(100) == 99), 8, 2).tolist() == [True]
    assert stand_out(np.ones(3), find_runs(np.ones(3, dtype=bool)), 8, 0.9).tolist() == [True]


def test_probability_rises_to_the_usual_share():
    values = RNG(0).logistic(size=4000)
    tail = fit_tail(values)
    grid = np.linspace(-12, 12, 200)
    found = tail.probability(grid)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(tail.probability(np.array([0.0, 1.0])), [0.5, 1 / (1 + np.exp(-1))], atol=0.03)


@pytest.mark.parametrize("n", [120, 400, 6500])
def test_rounding_of_margins_moves_no_score_by_more(n: int) -> None:
    rng = np.random.default_rng(n)
    margins = rng.standard_t(4, n)
    moved = calibrate(margins + 1e-7 * rng.normal(size=n))
    np.testing.assert_allclose(moved, calibrate(margins), atol=3e-6, rtol=0)
