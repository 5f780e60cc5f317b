"""Seconds: what has been spent, and whether a candidate will fit into what is left."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.selection.candidates import Candidate

__all__ = ["Budget", "OverBudget", "forecast"]

_PILOT = 1024
_WARM_UP = 256


class OverBudget(Exception):
    """A candidate does not fit into the seconds that are left; the message says why."""


class Budget:
    """A clock that runs from its making.

    Parameters
    ----------
    limit : float or None
        Seconds; None is no limit.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._begin = time.perf_counter()

    @property
    def spent(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._begin

    @property
    def left(self) -> float:
        """Seconds that remain, infinite without a limit."""
        return math.inf if self.limit is None else self.limit - self.spent

    @property
    def share(self) -> float:
        """Share of the seconds that are spent; 0 without a limit."""
        return 0.0 if self.limit is None else self.spent / self.limit

    def allows(self, seconds: float) -> bool:
        """Return whether so many seconds are left."""
        return seconds <= self.left

    def check(self, seconds: float, planned: float) -> None:
        """Raise `OverBudget` unless so many seconds are left beside those planned for others."""
        left = self.left - planned
        if left <= 0:
            raise OverBudget(f"all of {self.limit:.1f} s were spent or planned when its turn came")
        if seconds > left:
            raise OverBudget(f"needs about {seconds:.1f} s, {left:.1f} s of {self.limit:.1f} s are left")


def forecast(
    candidate: Candidate, values: NDArray[np.float64], period: int, seed: int, clock: Budget
) -> float:
    """Return about how many seconds a candidate takes for a series; 0 where there is no limit.

    Parameters
    ----------
    candidate : Candidate
    values : ndarray of shape (T, C)
    period, seed : int
        As for `Candidate.fit`.
    clock : Budget

    Notes
    -----
    It is run on the last 256 points, where imports and the loading of weights happen, again on them, and for
    a longer series on 1,024 points. The time is taken to grow by the power of the length that the last two
    show, between 1 and 2. What fails on so short a stretch may still work on the series: then nothing is
    known, and 0 returned.
    """
    if clock.limit is None:
        return 0.0
    try:
        _time(candidate, values[-_WARM_UP:], period, seed)
        short = _time(candidate, values[-_WARM_UP:], period, seed)
        times = len(values) / _WARM_UP
        if len(values) <= 2 * _PILOT or not clock.allows(short * _PILOT / _WARM_UP):
            return short * max(times, 1.0)
        long = _time(candidate, values[-_PILOT:], period, seed)
    except Exception:  # whatever it is, the run on the series will tell
        return 0.0
    power = np.clip(math.log(max(long, 1e-9) / max(short, 1e-9), _PILOT / _WARM_UP), 1.0, 2.0)
    return long * float(len(values) / _PILOT) ** float(power)


def _time(candidate: Candidate, values: NDArray[np.float64], period: int, seed: int) -> float:
    begin = time.perf_counter()
    candidate.fit(values, period, seed)
    return time.perf_counter() - begin
