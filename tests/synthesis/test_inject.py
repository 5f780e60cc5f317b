from __future__ import annotations

import math

import numpy as np
import pytest

from tests.synthesis.test_corpus import check
from vetime_plugins.errors import InputError
from vetime_plugins.series.period import find_cycle
from vetime_plugins.synthesis import inject, list_kinds
from vetime_plugins.synthesis.anomalies import KINDS

STEPS = np.arange(600)
WAVE = np.sin(2 * np.pi * STEPS / 40) + 0.05 * np.random.default_rng(0).normal(size=600)
SERIES = {
    "float": WAVE,
    "list": WAVE.tolist(),
    "float16": WAVE.astype(np.float16),
    "integer": np.round(20 * WAVE).astype(np.int32),
    "boolean": WAVE > 0,
    "constant": np.full(200, 3.5),
    "zeros": np.zeros(200, dtype=int),
    "short": WAVE[:8],
    "gaps": np.where(STEPS % 50 < 5, np.nan, WAVE),
    "huge": WAVE * 1e300,
    "huge constant": np.full(60, -1e300),
    "tiny": WAVE * 1e-300,
    "strided": np.stack([WAVE, WAVE])[:, ::2].T,
    "several": np.stack(
        [WAVE, 3 * WAVE + 1, np.zeros(600), np.random.default_rng(1).normal(size=600)], axis=1
    ),
}


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("seed", range(3))
def test_any_series(name, seed):
    given = SERIES[name]
    before = np.array(given, copy=True)
    result = inject(given, n=2, seed=seed)
    check(result)
    np.testing.assert_array_equal(np.asarray(given), before)
    assert result.values.dtype == np.float64
    assert result.family == "user"
    assert result.labels.any()
    original = np.asarray(before, dtype=np.float64).reshape(len(before), -1)
    outside = result.variable_labels == 0
    if not any(KINDS[kind].lasting for kind, *_ in result.kinds):
        np.testing.assert_array_equal(result.clean, original)
        np.testing.assert_array_equal(result.values[outside], original[outside])
    assert np.isnan(result.values).sum() == np.isnan(original).sum()


def test_whole_numbers_stay_whole():
    for seed in range(6):
        values = inject(SERIES["integer"], n=2, seed=seed).values
        np.testing.assert_array_equal(values, np.round(values))


def test_read_only_input():
    series = WAVE.copy()
    series.flags.writeable = False
    assert inject(series, "dip").labels.any()


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"a": WAVE, "b": -WAVE}, index=pandas.date_range("2026-01-01", periods=600, freq="h")
    )
    assert inject(frame, "lag_change").values.shape == (600, 2)


def test_same_seed_same_result():
    one, same, other = (inject(WAVE, n=3, seed=seed) for seed in (4, 4, 5))
    assert one.values.tobytes() == same.values.tobytes()
    assert one.values.tobytes() != other.values.tobytes()


def test_number_kinds_and_length():
    result = inject(WAVE, ["dip", "level_shift"], n=4, length=20, seed=1)
    assert len(result.kinds) == 4
    assert {kind for kind, *_ in result.kinds} <= {"dip", "level_shift"}
    assert all(stop - start <= 20 for _, start, stop, _ in result.kinds)


def test_density_is_reached_and_hardly_passed():
    series = np.tile(WAVE, 10)
    for density in (0.02, 0.1, 0.3):
        shares = [inject(series, density=density, seed=s).labels.mean() for s in range(4)]
        assert 0.4 * density < np.mean(shares) <= 1.05 * density


@pytest.mark.parametrize("kind", list_kinds())
def test_every_kind_by_name(kind):
    lead = np.tile(WAVE, 3)
    follower = 2 * np.roll(lead, 3) + 0.05 * np.random.default_rng(2).normal(size=1800)
    result = inject(np.stack([lead, follower], axis=1), kind, seed=3)
    assert [a.kind for a in result.kinds] == [kind]
    check(result)


def test_relations_break_while_each_variable_stays_in_its_range():
    lead = np.cumsum(np.random.default_rng(3).normal(size=2000)) / 10
    series = np.stack([lead, lead + 0.1 * np.random.default_rng(4).normal(size=2000)], axis=1)
    for seed in range(4):
        result = inject(series, "broken_correlation", severity=1.0, seed=seed)
        ((_, start, stop, (variable,)),) = result.kinds
        rest = np.abs(np.diff(result.values[start:stop], axis=1)).mean()
        usual = np.abs(np.diff(result.clean, axis=1)).mean()
        assert rest > 1.5 * usual
        assert result.variable_labels[:, 1 - variable].sum() == 0


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        ([], {}, "at least one point"),
        ([1.0, 2.0, 3.0], {}, "at least 8 steps"),
        (["a"] * 20, {}, "needs numbers"),
        (np.full(20, np.inf), {}, "finite values"),
        (np.full(20, np.nan), {}, "nothing but NaN"),
        (np.zeros((5, 5, 5)), {}, "shape"),
        (np.ones(20) + 1j, {}, "needs numbers"),
        (WAVE, {"kinds": "gremlin"}, "kinds must be some of"),
        (WAVE, {"kinds": []}, "kinds must be some of"),
        (WAVE, {"kinds": "lag_change"}, "correlated variables"),
        (np.random.default_rng(0).normal(size=100), {"kinds": "phase"}, "a period"),
        (WAVE, {"n": 0}, "n must be a whole number >= 1"),
        (WAVE, {"n": 1.5}, "n must be a whole number >= 1"),
        ([WAVE, WAVE], {}, "series needs to be one series, got a list of 2"),
        (WAVE, {"density": 0.9}, "density"),
        (WAVE, {"severity": 2}, "severity"),
        (WAVE, {"severity": (0.9, 0.1)}, "severity"),
        *((WAVE, {"severity": bad}, "severity") for bad in (None, "x", (0.1,), True, math.nan)),
        *((WAVE, {"density": bad}, "density") for bad in ("x", [0.1], math.nan)),
        *((WAVE, {"length": bad}, "length must be") for bad in ("x", 2.5, [3], 0)),
        *((WAVE, {"period": bad}, "period must be") for bad in ("x", [3], math.nan)),
        *((WAVE, {"seed": bad}, "seed must be") for bad in ("x", -1, 2.5, None)),
        (WAVE, {"length": 500}, "length must be between"),
        (WAVE, {"period": 1}, "period must be between"),
        (np.zeros(50), {"kinds": "flip"}, "could be seen"),
    ],
)
def test_what_cannot_be_done_is_said(series, options, message):
    with pytest.raises(InputError, match=message):
        inject(series, **options)


@pytest.mark.parametrize("number", [np.float32, np.float64, np.float16])
def test_severity_may_be_a_number_of_numpy(number):
    found, expected = inject(WAVE, "spike", severity=number(0.5)), inject(WAVE, "spike", severity=0.5)
    np.testing.assert_array_equal(found.values, expected.values)


def test_kinds_are_listed_with_what_they_do():
    kinds = list_kinds()
    assert list(kinds) == list(KINDS)
    assert all(text.endswith(".") and len(text) < 100 for text in kinds.values())


def test_find_cycle():
    assert find_cycle(WAVE[:, None]) == 40
    assert find_cycle(np.random.default_rng(0).normal(size=(500, 1))) is None
    assert find_cycle(np.ones((500, 1))) is None
    assert find_cycle(WAVE[:8, None]) is None
