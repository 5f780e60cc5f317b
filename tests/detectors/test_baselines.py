"""The baselines: against their definition written down plainly, and on awkward series."""

import time

import numpy as np
import pytest

from vetime_plugins.detectors import baselines
from vetime_plugins.detectors.baselines import BASELINES, moving_variance, random_scores, sub_knn, sub_pca
from vetime_plugins.errors import InputError
from vetime_plugins.metrics import auc_roc, find_buffer

RNG = np.random.default_rng(0)


def wave(n=600, c=1):
    t = np.arange(n)[:, None]
    values = np.sin(2 * np.pi * t / (20 + 3 * np.arange(c))) + 0.05 * RNG.normal(size=(n, c))
    return values[:, 0] if c == 1 else values


def standardised(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def windows_of(x, width):
    found = [x[i : i + width] for i in range(len(x) - width + 1)]
    return np.array([w - w.mean(axis=0) for w in found])


def spread(scores, width, n):
    return np.array([np.mean(scores[max(0, t - width + 1) : t + 1]) for t in range(n)])


def naive_sub_knn(x, width, max_bank=4000):
    windows = windows_of(standardised(x), width).reshape(len(x) - width + 1, -1)
    bank = windows[:: max(1, len(windows) // max_bank)]
    distances = np.sqrt(((windows[:, None, :] - bank[None]) ** 2).sum(axis=2))
    return spread(np.sort(distances, axis=1)[:, :5].mean(axis=1), width, len(x))


def naive_sub_pca(x, width):
    windows = windows_of(standardised(x), width)
    centred = windows - windows.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    eigenvalues = singular**2 / len(centred)
    scores = ((centred @ axes.T) ** 2 / (eigenvalues + 1e-9 * eigenvalues[0])).sum(axis=1)
    return spread(scores, width, len(x))


def naive_moving_variance(x, width=25):
    x, half = standardised(x), width // 2
    around = [x[max(0, t - half) : t + half + 1] for t in range(len(x))]
    return np.array([abs(x[t] - w.mean()) + w.std() for t, w in enumerate(around)])


def test_sub_knn_equals_its_definition():
    x = wave(300)
    x[100:120] += 2
    assert sub_knn(x, window=12) == pytest.approx(naive_sub_knn(x, 12), abs=1e-9)
    assert sub_knn(x, window=12, max_bank=60) == pytest.approx(naive_sub_knn(x, 12, 60), abs=1e-9)


def test_sub_knn_of_several_variables_joins_their_windows():
    x = wave(200, 3) * [1, 100, 0.01]
    assert sub_knn(x, window=12) == pytest.approx(naive_sub_knn(x, 12), abs=1e-9)


def test_sub_knn_does_not_depend_on_the_size_of_its_blocks(monkeypatch):
    x = wave(500, 3)
    whole = sub_knn(x, window=15)
    monkeypatch.setattr(baselines, "_BLOCK_CELLS", 7000)
    assert sub_knn(x, window=15) == pytest.approx(whole, abs=1e-9)


def test_sub_pca_equals_its_definition():
    x = wave(400)
    x[100:120] += 2
    result = sub_pca(x, window=12)
    assert result == pytest.approx(naive_sub_pca(x, 12), rel=1e-6)
    assert sub_pca(x * 1e9 - 5e12, window=12) == pytest.approx(result, rel=1e-3)


def test_sub_pca_of_several_variables_averages_standardised_scores():
    x = wave(300, 2) * [1, 50]
    each = [standardised(naive_sub_pca(column, 12)) for column in x.T]
    assert sub_pca(x, window=12) == pytest.approx(np.mean(each, axis=0), rel=1e-5, abs=1e-5)


def test_moving_variance_equals_its_definition():
    x = wave(200)
    assert moving_variance(x) == pytest.approx(naive_moving_variance(x), abs=1e-9)
    both = wave(200, 2) * [1, 1000]
    each = [standardised(naive_moving_variance(column)) for column in both.T]
    assert moving_variance(both) == pytest.approx(np.mean(each, axis=0), abs=1e-9)


def test_the_window_is_the_period_and_at_least_ten():
    slow, fast = (np.sin(2 * np.pi * np.arange(600) / period) for period in (20, 7))
    assert (find_buffer(slow), find_buffer(fast)) == (20, 7)
    for function in (sub_pca, sub_knn):
        np.testing.assert_array_equal(function(slow), function(slow, window=20))
        np.testing.assert_array_equal(function(fast), function(fast, window=10))


def test_random_scores_are_repeatable_and_know_nothing():
    x = wave(5000)
    labels = np.arange(5000) % 50 < 3
    assert (random_scores(x) == random_scores(x * 0 + 1)).all()
    assert (random_scores(x, seed=1) != random_scores(x)).any()
    assert abs(auc_roc(labels, random_scores(x)) - 0.5) < 0.05


@pytest.mark.parametrize("name", ["sub-knn", "sub-pca", "moving-variance"])
@pytest.mark.parametrize("c", [1, 4])
def test_they_find_what_they_are_for(name, c):
    x = wave(1500, c)
    labels = np.zeros(1500)
    labels[700:730] = 1
    x[700:730] = x[700:730] * 0.2 + 3 * RNG.normal(size=x[700:730].shape)
    assert auc_roc(labels, BASELINES[name](x)) > 0.9


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    "series",
    [
        [4.0],
        [1, 2],
        np.zeros(50),
        np.full((50, 3), 7.5),
        np.linspace(0, 1, 300) * 1e300,
        np.array([1, 0] * 100, dtype=bool),
        np.where(np.arange(200) % 9 == 0, np.nan, np.arange(200) % 20),
        np.full(30, np.nan),
        np.column_stack((np.zeros(120), np.sin(np.arange(120)), np.full(120, np.nan))),
        np.asfortranarray(RNG.normal(size=(300, 3)).astype(np.float16))[::2],
    ],
    ids=["one", "two", "zeros", "constants", "huge", "bool", "gaps", "all gaps", "one of three", "strided"],
)
def test_awkward_series_get_finite_scores_of_their_length(name, series):
    before = np.array(series, copy=True)
    scores = BASELINES[name](series)
    assert scores.shape == (len(series),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(series, before)
    np.testing.assert_array_equal(BASELINES[name](series), scores)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    ("series", "says"),
    [
        ([], "at least one point"),
        (np.zeros((2, 3, 4)), r"\(2, 3, 4\)"),
        (["a", "b"], "needs numbers"),
        ([0.0, np.inf], "infinite"),
    ],
)
def test_what_is_no_series_is_refused(name, series, says):
    with pytest.raises(InputError, match=says):
        BASELINES[name](series)


@pytest.mark.parametrize("function", [moving_variance, sub_pca, sub_knn])
@pytest.mark.parametrize("window", [0, -3, 2.5])
def test_a_window_that_is_no_number_of_points_is_refused(function, window):
    with pytest.raises(InputError, match="window"):
        function(wave(), window=window)


def test_a_window_longer_than_the_series_is_cut():
    assert np.isfinite(sub_knn(wave(30), window=100)).all()
    assert np.isfinite(sub_pca(wave(30), window=100)).all()


def test_smallest_are_the_smallest():
    matrix = RNG.integers(0, 50, (40, 1000)).astype(np.float32)
    found = np.take_along_axis(matrix, baselines._smallest(matrix, 6), axis=1)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(matrix, axis=1)[:, :6])


def test_thirty_thousand_points_take_seconds():
    x = wave(30_000)
    begin = time.process_time()
    sub_knn(x, window=100)
    assert time.process_time() - begin < 20  # 1.7 s measured on one core
