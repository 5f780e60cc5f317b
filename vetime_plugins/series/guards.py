"""Warnings about input that can be scored but is most likely not what its owner meant.

Everything here looks at numbers alone, in a few passes, and says nothing where it is not sure: an on/off
sensor is no label, a meter that counts up is no clock. ``benchmarks/guards.py`` counts false alarms.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.errors import InputError, InputWarning
from vetime_plugins.series.inputs import Series
from vetime_plugins.series.roles import LABEL_NAMES, column_names, doubtful_role

__all__ = ["SHORTEST", "refuse_doubtful", "warn_of_doubtful", "warn_outside"]

SHORTEST = 16
"""Rows below which no window of the network is full: there a spike is found no better than by chance."""

_PACKAGE = __name__.partition(".")[0]

# What only labels are called, if they hold 0 and 1 alone. Names that sensors bear too are not among them.
_LABEL_NAMES = LABEL_NAMES | {
    *("is_label", "is_anomalous", "anomalies", "anomalous", "anomaly_label", "outliers", "ground_truth"),
    *("gt", "target", "y", "y_true", "class", "attack", "is_attack", "changepoint"),
}
# The last column, without a name, is taken for labels if ones are as rare and in as few runs as anomalies.
_MOST_ONES = 0.2
_ROWS_FOR_RUN = 500
_FEWEST_ROWS_FOR_LABELS = 50

# Values from 1990 to 2050 in seconds, milliseconds, microseconds and nanoseconds since 1970.
_EPOCHS = tuple((631_152_000 * unit, 2_524_608_000 * unit) for unit in (1, 10**3, 10**6, 10**9))
_FEWEST_ROWS_FOR_TIMES = 10
_SAME_STEP = 1e-3  # relative: time stamps in a float of 64 bits
_JITTER = 0.02  # relative standard deviation of the steps of a clock that is read by a program
_FEWEST_ROWS_FOR_JITTER = 100

_LONGEST_LAG = 256
_LAG_PROBE = 8  # rows on both sides of the value that is looked for in other columns
_MOST_COLUMNS_FOR_LAGS = 64
_FEWEST_COPIES = 2  # one sensor may follow another
_FEWEST_ROWS_FOR_LAGS = 16  # that two columns have in common once they are shifted
_FEWEST_VALUES_FOR_LAGS = 8  # switches repeat each other by chance


def warn_of_doubtful(
    all_series: Sequence[Series],
    *,
    has_more: Sequence[bool] | None = None,
    many: bool = False,
    ids: Sequence[object] | None = None,
) -> None:
    """Warn, once for each kind, of series that look like something else or like too little.

    Parameters
    ----------
    all_series : sequence of Series
        Those with ``checked`` are left out.
    has_more : sequence of bool, optional
        Of which series there are further rows, such as a reference; these are not called too short.
    many : bool
        Whether they came as a list, so that messages number them.
    ids : sequence, optional
        What messages call them.

    Warns
    -----
    InputWarning
        At the line of the first caller outside this package. Python's default filter shows it once.
    """
    more = [False] * len(all_series) if has_more is None else has_more
    found: dict[Callable[[Series], str | None], list[tuple[int, str]]] = {}
    for i, one in enumerate(all_series):
        if one.checked:
            continue
        for rule in (_too_short, *_RULES):
            message = None if rule is _too_short and more[i] else rule(one)
            if message:
                found.setdefault(rule, []).append((i, message))
    for messages in found.values():
        first, message = messages[0]
        name = f"series[{first}]" if many else "series"
        if ids is not None:
            name = f"series {ids[first]!r}"
        others = f" (and {len(messages) - 1} more series)" if len(messages) > 1 else ""
        warn_outside(f"{name}{others} {message}")


def refuse_doubtful(series: Any, what: str = "series") -> None:
    """Refuse a data frame of several columns, one of which is by name or content no measurement.

    Raises
    ------
    InputError
        If a column is named like labels or time stamps, or counts the rows in whole numbers.
    """
    names = column_names(series)
    if isinstance(series, Series) or names is None or len(names) < 2:
        return
    for place, name in enumerate(names):
        column = series.iloc[:, place] if hasattr(series, "iloc") else series[name]
        looks = doubtful_role(name, np.asarray(column))
        if looks is not None:
            raise InputError(
                f"{what} needs measurements alone, but its column {name!r} looks like {looks}. Drop it; if "
                "it is a measurement, pass an array, which has no names, or a frame with another name."
            )


def warn_outside(message: str) -> None:
    """Warn at the line of the first caller outside this package, so that the default filter shows it once."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, InputWarning, stacklevel=level)


def _too_short(series: Series) -> str | None:
    if len(series) >= SHORTEST:
        return None
    return (
        f"has {len(series)} row(s), too short to judge: scores need {SHORTEST} or more to tell points apart. "
        "Pass more rows, or earlier data as the reference."
    )


def _lag_matrix(series: Series) -> str | None:
    values = series.with_gaps[:, series.varies][:, :_MOST_COLUMNS_FOR_LAGS]
    n_columns = values.shape[1]
    if len(values) < _FEWEST_ROWS_FOR_LAGS or n_columns <= _FEWEST_COPIES:
        return None
    copies = _count_shifted(values)
    if copies < _FEWEST_COPIES or 2 * copies < n_columns:
        return None
    return (
        f"looks like a lag matrix: {copies} of {n_columns} columns are shifted copies of another one. "
        "Columns are variables that are measured at the same time; pass the series itself, not windows of it."
    )


def _count_shifted(values: NDArray[np.float64]) -> int:
    """Count the columns of (T, C) that equal another one so many rows earlier or later."""
    copies: set[int] = set()
    for i in range(values.shape[1]):
        if i in copies:
            continue
        lags = _possible_lags(values, i)
        for j in set(lags) - copies - {i}:
            same = np.array_equal(values[:, i], values[:, j], equal_nan=True)
            if not same and any(_is_shifted(values[:, i], values[:, j], lag) for lag in lags[j][:3]):
                copies.add(j)
    return len(copies)


def _possible_lags(values: NDArray[np.float64], column: int) -> dict[int, list[int]]:
    """Return, by column, after how many rows the most conspicuous stretch of one column comes there again."""
    n_rows = len(values)
    reach = min(_LAG_PROBE, n_rows // 4)
    longest = min(_LONGEST_LAG, n_rows - _FEWEST_ROWS_FOR_LAGS)
    own = values[reach : n_rows - reach, column]
    probe = reach + int(np.nanargmax(np.abs(own - np.nanmedian(own)))) if not np.isnan(own).all() else reach
    first = max(reach, probe - longest)
    rows = np.arange(first, min(n_rows - reach, probe + longest + 1))
    equal = np.ones((len(rows), values.shape[1]), dtype=bool)
    for step in range(-reach, reach + 1):
        equal &= values[rows + step] == values[probe + step, column]
    found: dict[int, list[int]] = {}
    for row, other in np.argwhere(equal):
        found.setdefault(int(other), []).append(int(rows[row]) - probe)
    return {other: sorted(set(lags) - {0}, key=abs) for other, lags in found.items()}


def _is_shifted(one: NDArray[np.float64], other: NDArray[np.float64], lag: int) -> bool:
    """Tell whether `other` (T,) at t + lag is `one` (T,) at t, throughout and not only because both rest."""
    ahead, behind = (one, other) if lag > 0 else (other, one)
    common = ahead[: len(ahead) - abs(lag)]
    return (
        np.array_equal(common, behind[abs(lag) :], equal_nan=True)
        and len(np.unique(common)) >= _FEWEST_VALUES_FOR_LAGS
    )


def _label_column(series: Series) -> str | None:
    if series.n_variables < 2:
        return None
    values = series.with_gaps
    two_valued = [
        bool(np.all((column == 0) | (column == 1) | np.isnan(column))) and bool(varies)
        for column, varies in zip(values.T, series.varies, strict=True)
    ]
    for column, binary in enumerate(two_valued):
        if binary and _is_label_name(series, column):
            return (
                f"has a column {series.names[column]!r} of 0 and 1 alone, which looks like labels. "  # type: ignore[index]
                "Labels among the variables spoil the scores: drop the column."
            )
    place = two_valued.index(True) if sum(two_valued) == 1 else -1
    if series.names is not None and not _numbered(series.names):
        return None  # its owner knows its name, which says that it is a measurement
    if place != len(two_valued) - 1 or len(values) < _FEWEST_ROWS_FOR_LABELS:
        return None
    measured = series.varies.copy()
    measured[place] = False
    others = values[:, measured]
    fractional = np.any((others != np.round(others)) & ~np.isnan(others), axis=0)
    ones = values[:, place] == 1
    runs = int(np.count_nonzero(np.diff(ones.astype(np.int8), prepend=0) == 1))
    rare = ones.mean() <= _MOST_ONES and runs <= max(3, len(values) // _ROWS_FOR_RUN)
    if not rare or not measured.any() or not fractional.all():
        return None
    return (
        f"has 0 and 1 alone in column {place}, 1 in {ones.mean():.1%} of the rows, beside measurements; it "
        "looks like labels. Labels among the variables spoil the scores: drop the column if it holds them."
    )


def _is_label_name(series: Series, column: int) -> bool:
    if series.names is None:
        return False
    return series.names[column].strip().lower().replace(" ", "_").replace("-", "_") in _LABEL_NAMES


def _numbered(names: Sequence[str]) -> bool:
    """Tell whether names are mere positions, as a data frame made of an array has them."""
    return list(names) == [str(position) for position in range(len(names))]


def _time_column(series: Series) -> str | None:
    if series.n_variables < 2:
        return None
    for place, (column, observed) in enumerate(zip(series.values.T, series.observed.T, strict=True)):
        if series.varies[place] and observed.all() and _is_time(column):
            name = str(place) if series.names is None else repr(series.names[place])
            return (
                f"has a column {name} that rises by the same step from row to row, which looks like time "
                "stamps or a row counter. Time among the variables spoils the scores: drop the column or "
                "make it the index."
            )
    return None


def _is_time(column: NDArray[np.float64]) -> bool:
    """Tell whether a column (T,) without gaps is a clock: it rises by one step, or is a date since 1970."""
    dates = any(low <= column[0] and column[-1] < high for low, high in _EPOCHS)
    column = np.ldexp(column, -1 - np.frexp(np.abs(column).max())[1])  # no difference of it overflows
    steps = np.diff(column)
    if len(column) < _FEWEST_ROWS_FOR_TIMES or steps.min() < 0:
        return False
    usual = float(np.median(steps))
    if usual <= 0:
        return False
    rounding = 4 * np.finfo(np.float64).eps * np.abs(column).max()
    if np.all(np.abs(steps - usual) <= _SAME_STEP * usual + rounding):
        return True
    if len(column) >= _FEWEST_ROWS_FOR_JITTER and steps.std() <= _JITTER * usual:
        return True
    return dates and float(np.mean(np.abs(steps - usual) <= _SAME_STEP * usual + rounding)) >= 0.5


_RULES = (_lag_matrix, _label_column, _time_column)
