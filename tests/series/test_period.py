"""The period rule: known periods, no period, and the benchmark's own definition."""

import numpy as np
import pytest

from tests._shared import shared_path
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import iterate_series
from vetime_plugins.metrics import find_buffer


def by_definition(values):
    """Autocorrelation by its sum, peaks by a loop."""
    values = values[:20_000] - np.mean(values[:20_000])
    n = len(values)
    lags = range(3, min(401, n))
    with np.errstate(invalid="ignore", divide="ignore"):
        acf = [np.dot(values[: n - lag], values[lag:]) / np.dot(values, values) for lag in lags]
    peaks = [i for i in range(1, len(acf) - 1) if acf[i - 1] < acf[i] > acf[i + 1]]
    if not peaks:
        return 125
    best = max(peaks, key=lambda i: acf[i])
    return best + 3 if 3 <= best <= 300 else 125


@pytest.mark.parametrize("period", [7, 24, 50, 288])
def test_finds_the_period_of_a_wave_with_a_little_noise(period):
    t = np.arange(6000)
    noise = 0.005 * np.random.default_rng(0).normal(size=t.size)
    assert abs(find_buffer(np.sin(2 * np.pi * t / period) + noise) - period) <= max(1, period // 50)


@pytest.mark.parametrize("seed", range(12))
def test_equals_its_definition(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 3000))
    noise = rng.normal(size=n)
    values = (np.cumsum(noise) if seed % 2 else noise) + 3 * np.sin(np.arange(n) / rng.uniform(1, 60))
    assert find_buffer(values) == by_definition(values)


@pytest.mark.parametrize(
    "series", [[3.0], [1, 2], np.full(500, 0.1), np.full(500, 1e300), np.arange(500.0), np.full(9, np.nan)]
)
def test_without_a_period_the_buffer_is_125(series):
    assert find_buffer(series) == 125


def test_only_the_first_variable_and_the_first_20000_points_count():
    t = np.arange(30_000)
    wave = np.sin(2 * np.pi * t / 40)
    late = np.where(t < 20_000, wave, 50 * np.sin(2 * np.pi * t / 90))
    assert find_buffer(np.column_stack((late, np.sin(2 * np.pi * t / 17)))) == 40


def test_gaps_and_huge_values_do_not_matter():
    wave = np.sin(2 * np.pi * np.arange(2000) / 40)
    holes = wave * 1e300
    holes[::7] = np.nan
    assert find_buffer(holes) == find_buffer(wave) == 40


@pytest.mark.parametrize("series", [[], np.zeros((3, 0)), np.zeros((2, 2, 2)), ["a"], 3.0])
def test_what_is_no_series_is_refused(series):
    with pytest.raises(InputError, match="series needs"):
        find_buffer(series)


def test_equals_its_definition_on_real_series():
    for series in iterate_series(shared_path("data"), datasets=["NAB", "TODS", "SKAB_M", "SMD_M"]):
        assert find_buffer(series.values) == by_definition(series.values[:, 0]), series.name
