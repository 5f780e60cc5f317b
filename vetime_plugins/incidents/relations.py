"""Whether a variable that looks usual by itself does not go with the others any more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.incidents.expected import Course
from vetime_plugins.series.inputs import Series

__all__ = ["breaks_relation"]

_FIT = 4_000  # steps that a relation is learned from
_FEWEST = 50
_EXPLAINED = 0.6  # of a variable's variance must the others tell, or there is no relation to break
_BROKEN = 3.0  # times the usual distance from what the others tell
_USUAL = 3.0  # times the usual range: values beyond are unusual by themselves


def breaks_relation(
    series: Series, usual: NDArray[np.bool_], course: Course, column: int, start: int, stop: int
) -> bool:
    """Tell whether steps ``[start, stop)`` of a variable are in its range, and not where the others put it.

    Parameters
    ----------
    series : Series
    usual : bool ndarray of shape (T,)
        Steps to learn from.
    course : Course
        The variable around the incident.
    column : int
        The variable.
    start, stop : int
    """
    others = [c for c in np.flatnonzero(series.varies) if c != column]
    steps = np.flatnonzero(usual)
    if not others or not series.varies[column] or len(steps) < _FEWEST or stop - start < 4:
        return False
    steps = steps[:: max(1, len(steps) // _FIT)]
    x, target = series.values[:, others], series.values[:, column]
    mean, spread = x[steps].mean(axis=0), x[steps].std(axis=0)
    moving = spread > 0
    if not moving.any():
        return False
    x = (x[:, moving] - mean[moving]) / spread[moving]
    z = (target - target[steps].mean()) / (target[steps].std() or 1.0)
    half = np.arange(len(steps)) % 2 == 0
    weights = _ridge(x[steps[half]], z[steps[half]])
    rest = z[steps[~half]] - x[steps[~half]] @ weights
    if rest.var() > 1 - _EXPLAINED:
        return False
    low, high = np.quantile(z[steps], [0.001, 0.999])
    inside = z[start:stop]
    if (inside < low - 0.1 * (high - low)).any() or (inside > high + 0.1 * (high - low)).any():
        return False
    broken = np.sqrt(np.mean((inside - x[start:stop] @ weights) ** 2))
    return bool(broken > _BROKEN * np.sqrt(np.mean(rest**2)))


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += 1e-2 * len(x)
    return np.linalg.solve(gram, x.T @ y)
