"""Variables of two values are told from those that are measured."""

from __future__ import annotations

import numpy as np

from vetime_plugins.series.inputs import as_series
from vetime_plugins.series.switches import find_switches


def test_switches_have_exactly_two_values() -> None:
    t = np.arange(60)
    columns = [t % 7 < 2, np.sin(t), np.full(60, 3.0), t % 3, np.where(t == 30, -5.0, 2.5)]
    switches = find_switches(as_series(np.column_stack(columns)))
    assert switches.tolist() == [True, False, False, False, True]


def test_what_was_filled_in_is_no_value() -> None:
    # Linear filling puts 0.5 into a gap between 0 and 1.
    x = np.column_stack([[0, 1, 0, np.nan, 1, 0], [0, 0.4, 1, np.nan, 1, 1]])
    assert find_switches(as_series(x)).tolist() == [True, False]


def test_a_reference_may_know_more_values() -> None:
    x, reference = np.tile([[0.0, 0.0], [1.0, 1.0]], (9, 1)), np.tile([[0.0, 0.0], [1.0, 2.0]], (9, 1))
    assert find_switches(as_series(x), [as_series(reference)]).tolist() == [True, False]
    still = as_series(np.column_stack([np.zeros(18), x[:, 1]]))
    assert find_switches(still).tolist() == [False, True]
    assert find_switches(still, [as_series(x)]).tolist() == [True, True]
