"""Which variables an incident is in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.incidents.grouping import heights

__all__ = ["deviations", "evidence", "shares"]


def evidence(variable_scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the evidence (T, C) of each variable at each step, from its scores (T, C) in [0, 1]."""
    level = heights(variable_scores)
    return level - np.median(level, axis=0)


def deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return robust z-scores (T, C) of values (T, C): the evidence where there are no scores of variables."""
    middle = np.median(values, axis=0)
    away = np.abs(values - middle)
    spread = np.maximum(1.4826 * np.median(away, axis=0), 0.2 * values.std(axis=0))
    return away / np.where(spread > 0, spread, np.inf)


def shares(found: NDArray[np.float64], start: int, stop: int) -> NDArray[np.float64]:
    """Return each variable's part (C,) of the evidence (T, C) in steps ``[start, stop)``; the sum is 1."""
    part = found[start:stop].max(axis=0)
    weights = np.exp(part - part.max())
    return weights / weights.sum()
