"""Seconds: what has been spent, and whether a candidate will fit into what is left."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.selection.candidates import Candidate

__all__ = ["Budget", "Forecast", "OverBudget", "forecast"]

_PILOT = 1024
_WARM_UP = 256


class OverBudget(Exception):
    """A candidate does not fit into the seconds that are left; the message says why."""


class Budget:
    """A clock that runs from its making, with `limit` seconds; None is no limit."""

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


@dataclass(frozen=True)
class Forecast:
    """How long a candidate takes, judged by runs on short stretches.

    `seconds` are those of a run on `n_points`; the time grows with the length to the given power.
    """

    seconds: float = 0.0
    n_points: int = 1
    power: float = 1.0

    def at(self, n_points: int) -> float:
        """Return the seconds that a series of so many points is expected to take."""
        return self.seconds * (n_points / self.n_points) ** self.power

    def growth(self, seconds: float, n_points: int) -> float:
        """Return the power, now that a run on so many points is known to have taken so many seconds."""
        if n_points < 2 * self.n_points:
            return self.power
        return _growth(self.seconds, self.n_points, seconds, n_points)


def forecast(
    candidate: Candidate, values: NDArray[np.float64], longest: int, period: int, seed: int, clock: Budget
) -> Forecast:
    """Return about how many seconds a candidate takes on values (T, C); none where there is no limit.

    It is run on the last 256 points, where imports and the loading of weights happen, again on them, and,
    where `longest` asks for a longer series, on 1,024 points. The time is taken to grow by the power of the
    length that the last two show, between 1 and 2. What fails on so short a stretch may still work on the
    series: then nothing is known, and no time foreseen.
    """
    if clock.limit is None:
        return Forecast()
    try:
        _time(candidate, values[-_WARM_UP:], period, seed)
        few = Forecast(_time(candidate, values[-_WARM_UP:], period, seed), min(_WARM_UP, len(values)))
        many = min(_PILOT, len(values))
        if longest <= 2 * _PILOT or many < 2 * _WARM_UP or not clock.allows(few.at(many)):
            return few
        seconds = _time(candidate, values[-_PILOT:], period, seed)
    except Exception:  # whatever it is, the run on the series will tell
        return Forecast()
    return Forecast(seconds, many, _growth(few.seconds, few.n_points, seconds, many))


def _growth(few_seconds: float, few: int, many_seconds: float, many: int) -> float:
    """Return the power of the length by which the time grows, between 1 and 2."""
    power = math.log(max(many_seconds, 1e-9) / max(few_seconds, 1e-9), many / few)
    return min(max(power, 1.0), 2.0)


def _time(candidate: Candidate, values: NDArray[np.float64], period: int, seed: int) -> float:
    begin = time.perf_counter()
    candidate.fit(values, period, seed)
    return time.perf_counter() - begin
