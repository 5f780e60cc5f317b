"""Missing values: how they are filled, and what stands for a variable that has gone silent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fill_gaps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace NaN in columns (T, C) linearly in time, at both ends by the nearest value.

    A variable without any value becomes 0. Without gaps `values` itself is returned, else a copy.
    """
    missing = np.isnan(values)
    columns = np.flatnonzero(missing.any(axis=0))
    if not len(columns):
        return values
    filled, time = values.copy(), np.arange(len(values))
    for column in columns:
        gap = missing[:, column]
        seen = ~gap
        filled[gap, column] = np.interp(time[gap], time[seen], values[seen, column]) if seen.any() else 0.0
    return filled


def carry_forward(values: NDArray[np.float64], initial: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace each NaN in columns (T, C) by the value before it: what is known as time goes on.

    `initial` (C,) is what was known before; empty for zeros.
    """
    stacked = np.concatenate([initial[None] if len(initial) else np.zeros_like(values[:1]), values])
    latest = np.where(np.isnan(stacked), 0, np.arange(len(stacked))[:, None])
    return np.take_along_axis(stacked, np.maximum.accumulate(latest, axis=0), axis=0)[1:]
