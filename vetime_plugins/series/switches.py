"""Which variables are switches: commands, flags and states that are one of two things."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.series.inputs import Series

__all__ = ["find_switches"]


def find_switches(series: Series, references: Sequence[Series] = ()) -> NDArray[np.bool_]:
    """Tell which variables (C,) have exactly two values, in the series and its references together.

    What was filled in does not count. A switch that hardly ever switches is remarkable whenever it does, and
    where there are many of them one is at most steps: so they are compared apart from what is measured.
    """
    sources = [series, *references]
    low = np.min([one.values.min(axis=0, where=one.observed, initial=np.inf) for one in sources], axis=0)
    high = np.max([one.values.max(axis=0, where=one.observed, initial=-np.inf) for one in sources], axis=0)
    between = np.zeros(series.n_variables, dtype=bool)
    for one in sources:
        between |= (one.observed & (one.values != low) & (one.values != high)).any(axis=0)
    return (low < high) & ~between
