"""Which variables an incident is in.

The scores of a variable say how new its course is, and a small but new ripple is as new as a large one. What
people name as the cause is what went far from where it usually is. So the evidence for a variable at a step
is the product of both: its deviation in standard deviations, times a root of the odds that its score means.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.incidents.grouping import heights

__all__ = ["deviations", "evidence", "shares"]

_TRUST = 0.25  # power of the odds; from 0.1 to 0.5 the order of the variables is nearly as good
_FAINT = 0.1  # deviations: below it, none is larger than another


def deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far values (T, C) are from their mean, in standard deviations; 0 for a constant."""
    spread = values.std(axis=0)
    return np.abs(values - values.mean(axis=0)) / np.where(spread > 0, spread, np.inf)


def evidence(
    values: NDArray[np.float64] | None, variable_scores: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the logarithm of the evidence for each variable at each step, (T, C).

    Parameters
    ----------
    values : float64 ndarray of shape (T, C) or None
        The series without gaps.
    variable_scores : float64 ndarray of shape (T, C) or None
        Scores of the variables. One of the two may be None, and the other alone decides.
    """
    if variable_scores is None:
        assert values is not None
        return np.log(deviations(values) + _FAINT)
    odds = heights(variable_scores)
    return odds if values is None else np.log(deviations(values) + _FAINT) + _TRUST * odds


def shares(found: NDArray[np.float64], start: int, stop: int) -> NDArray[np.float64]:
    """Return each variable's part (C,) of the evidence (T, C) in steps ``[start, stop)``; the sum is 1.

    The strongest step of a variable counts, squared, as in an energy.
    """
    part = 2 * found[start:stop].max(axis=0)
    weights = np.exp(part - part.max())
    return weights / weights.sum()
