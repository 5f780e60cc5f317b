"""Columns of a table that are no measurements: labels, time stamps and row counters, by name and content."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LABEL_NAMES", "TIME_NAMES", "column_names", "doubtful_role"]

LABEL_NAMES = frozenset({"label", "labels", "is_anomaly", "anomaly", "is_outlier", "outlier"})
"""Lower-case names that nobody gives to a measurement."""

TIME_NAMES = frozenset(
    {"time", "timestamp", "timestamps", "date", "datetime", "ds", "index", "unnamed: 0", ""}
)
"""Lower-case names of time stamps and of stored row numbers."""


def doubtful_role(name: str, column: NDArray[Any]) -> str | None:
    """Return what a numeric column looks like if it is not a measurement.

    Parameters
    ----------
    name : str
    column : ndarray of shape (T,)
        In the type that it came in: only whole numbers count rows.

    Returns
    -------
    {"labels", "time stamps", "a row counter"} or None
    """
    lowered = name.lower()
    if lowered in LABEL_NAMES:
        return "labels"
    if lowered in TIME_NAMES:
        return "time stamps"
    counts = len(column) > 2 and column.dtype.kind in "iu" and column[0] != column[1]
    return "a row counter" if counts and not np.any(np.diff(column, 2)) else None


def column_names(frame: Any) -> tuple[str, ...] | None:
    """Return the names of a data frame's columns as text; None of what has none."""
    names = getattr(frame, "columns", None)
    return None if names is None or callable(names) else tuple(str(name) for name in names)
