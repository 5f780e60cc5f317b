"""Values that take the place of missing ones."""

from __future__ import annotations

import numpy as np

from vetime_plugins.series.gaps import carry_forward

NAN = np.nan


def test_each_column_carries_its_own_last_value() -> None:
    rows = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [NAN, 4.0]])
    filled = carry_forward(rows, np.array([7.0, 8.0]))
    np.testing.assert_array_equal(filled, [[7, 1], [2, 1], [2, 1], [2, 4]])


def test_nothing_known_before_is_zero() -> None:
    np.testing.assert_array_equal(
        carry_forward(np.array([[NAN], [3.0], [NAN]]), np.empty(0)), [[0], [3], [3]]
    )
