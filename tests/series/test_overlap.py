"""A reference never holds a part of the series that is compared with it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vetime_plugins.series.inputs import as_series
from vetime_plugins.series.overlap import new_parts

Values = NDArray[np.float64]


def _left(series: Values, reference: Values) -> Values:
    """Return the rows of the reference that stay."""
    parts = new_parts(as_series(series), as_series(reference))
    return np.concatenate([reference[:0], *(reference[part] for part in parts)])


@pytest.fixture(params=["walk", "gaps", "two variables", "on and off", "minus zero"])
def rows(request: pytest.FixtureRequest) -> Values:
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(600, 1)).cumsum(0)
    if request.param == "gaps":
        walk[rng.random(600) < 0.1] = np.nan
        walk[[0, 150, 299, 300, 450]] = np.nan
    if request.param == "two variables":
        walk = np.hstack([walk, rng.normal(size=(600, 1))])
    if request.param == "on and off":
        walk = (rng.random((600, 1)) < 0.5) * 1.0
    if request.param == "minus zero":
        walk = np.where(rng.random((600, 1)) < 0.5, np.abs(walk), -0.0)
    return walk


def test_a_part_of_the_series_tells_nothing_new(rows: Values) -> None:
    for part in (slice(None), slice(0, 200), slice(150, 450), slice(400, None)):
        assert len(_left(rows, rows[part].copy())) == 0


def test_the_series_is_cut_out_of_its_reference(rows: Values) -> None:
    np.testing.assert_array_equal(_left(rows[150:300], rows), np.delete(rows, slice(150, 300), axis=0))


def test_what_both_share_at_an_end_is_cut_off(rows: Values) -> None:
    np.testing.assert_array_equal(_left(rows[200:], rows[:300]), rows[:200])
    np.testing.assert_array_equal(_left(rows[:300], rows[200:]), rows[300:])


def test_other_data_stay(rows: Values) -> None:
    other = np.random.default_rng(1).normal(size=rows.shape)
    np.testing.assert_array_equal(_left(rows, other), other)
    np.testing.assert_array_equal(_left(rows[:300], rows[300:]), rows[300:])


def test_rows_differ_where_one_value_or_one_gap_differs() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 3))
    for value in (np.nan, 0.0, np.nextafter(rows[50, 1], 9)):
        other = rows.copy()
        other[50, 1] = value
        assert len(_left(rows, other)) == 100


def test_many_equal_rows_are_no_trap() -> None:
    series, reference = np.zeros((50_000, 1)), np.zeros((50_000, 1))
    series[-1], reference[25_000] = 1, 2
    left = _left(series, reference)
    assert 2 in left  # what is new is kept ...
    assert len(left) == 25_001  # ... and the zeros that begin the series and end the reference are not
