"""What was to be expected where an incident is: what elsewhere stood between the same surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft as scipy_fft

__all__ = ["Course", "expect"]

_NEAR = 6_000  # steps to either side that are looked through: bounds time, and a series drifts
_ALIKE = 7  # places that are asked
_LEAST_FLANK, _MOST_FLANK, _FLANK_WITHOUT_PERIOD = 12, 200, 32
_FEWEST_PLACES = 3


@dataclass(frozen=True)
class Course:
    """One variable around an incident.

    Attributes
    ----------
    begin : int
        Position of the first step in the series.
    values, expected : float64 ndarray of shape (n,)
        What came, and what was to be expected.
    known : bool ndarray of shape (n,)
        Where the surroundings are: steps that were compared.
    noise : float
        Usual distance between the two outside of incidents, as a standard deviation.
    spread : float
        Standard deviation of the variable outside of incidents.
    period : int
        In steps; 1 where there is none.
    matched : bool
        Whether similar surroundings were found; else `expected` is a line.
    """

    begin: int
    values: NDArray[np.float64]
    expected: NDArray[np.float64]
    known: NDArray[np.bool_]
    noise: float
    spread: float
    period: int
    matched: bool

    @property
    def residual(self) -> NDArray[np.float64]:
        """What came less what was expected, (n,)."""
        return self.values - self.expected


def expect(x: NDArray[np.float64], doubt: NDArray[np.int8], start: int, stop: int, period: int) -> Course:
    """Return the expected course of steps ``[start, stop)`` and of their surroundings.

    Parameters
    ----------
    x : float64 ndarray of shape (T,)
        One variable without gaps.
    doubt : int8 ndarray of shape (T,)
        2 in every incident: no place to learn from. 1 where the scores are raised: a place to learn from only
        where there is no other.
    start, stop : int
        The stretch in question, with all steps that may belong to the incident.
    period : int
        In steps, 1 for none.
    """
    flank = period if period > 1 else _FLANK_WITHOUT_PERIOD
    flank = int(np.clip(flank, _LEAST_FLANK, _MOST_FLANK))
    low, high = max(0, start - flank), min(len(x), stop + flank)
    known = np.ones(high - low, dtype=bool)
    known[start - low : stop - low] = False
    known &= doubt[low:high] < 2
    first, last = max(0, low - _NEAR), min(len(x), high + _NEAR)
    near, unsure = x[first:last], doubt[first:last]
    fit = unsure < 2
    spread = float(near[fit].std()) if fit.sum() > 1 else float(near.std())
    template = x[low:high]
    places = _places(template, known, near, unsure > 0)
    if len(places) < _FEWEST_PLACES:
        places = _places(template, known, near, unsure > 1)
    if known.sum() >= 4 and len(places) >= _FEWEST_PLACES:
        segments = near[places[:, None] + np.arange(high - low)]
        segments = segments + (template[known].mean() - segments[:, known].mean(axis=1))[:, None]
        expected, matched = np.median(segments, axis=0), True
        # Places chosen for their likeness are more alike there than elsewhere.
        scatter = np.median(np.abs(segments - expected)) * 1.4826
    else:
        expected, matched, scatter = _line(template, known), False, 0.0
    away = np.abs(template - expected)[known]
    noise = float(np.median(away)) * 1.4826 if len(away) else spread
    noise = max(noise, float(scatter), 1e-9 * (spread or 1.0))
    return Course(low, template, expected, known, noise, spread, period, matched)


def _places(
    template: NDArray[np.float64],
    known: NDArray[np.bool_],
    near: NDArray[np.float64],
    barred: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Return the starts in `near` of stretches that are most alike where known and not barred elsewhere."""
    n, count = len(template), int(known.sum())
    if count < 4 or len(near) < 2 * n:
        return np.zeros(0, dtype=np.intp)
    centre = near.mean()
    weights, b = known.astype(np.float64), near - centre
    a = np.where(known, template - centre, 0.0)
    a = np.where(known, a - a[known].mean(), 0.0)
    sums, cross = _correlate(b, np.stack([weights, a]))
    (squares,) = _correlate(b * b, weights[None])
    # Up to an offset: a level that drifts is no reason to look elsewhere.
    distance = (a * a).sum() - 2 * cross + squares - sums * sums / count
    unusual = np.cumsum(np.append(0, barred))
    inside = np.flatnonzero(~known)
    begin, end = inside[0], inside[-1] + 1  # the surroundings may be barred: they were compared
    distance[unusual[end : end + len(distance)] - unusual[begin : begin + len(distance)] > 0] = np.inf
    found: list[int] = []
    apart = max(1, n // 4)
    for place in np.argsort(distance, kind="stable")[: 40 * _ALIKE]:
        if not np.isfinite(distance[place]) or len(found) == _ALIKE:
            break
        if all(abs(place - other) >= apart for other in found):
            found.append(int(place))
    return np.array(found, dtype=np.intp)


def _correlate(x: NDArray[np.float64], kernels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sum_i kernels[k, i] * x[t + i]`` at every t where a kernel (K, n) fits in: (K, T - n + 1)."""
    size = scipy_fft.next_fast_len(len(x), real=True)
    spectrum = scipy_fft.rfft(x, size) * scipy_fft.rfft(kernels, size).conj()
    return scipy_fft.irfft(spectrum, size)[:, : len(x) - kernels.shape[1] + 1]


def _line(template: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a straight line between the medians of both sides."""
    steps, at = np.arange(len(template)), np.flatnonzero(known)
    if not len(at):
        return np.full(len(template), float(np.median(template)))
    inside = np.flatnonzero(~known)
    middle = inside.mean() if len(inside) else len(template) / 2
    sides = [side for side in (at[at < middle], at[at >= middle]) if len(side)]
    points = [(float(side.mean()), float(np.median(template[side]))) for side in sides]
    return np.interp(steps, [x for x, _ in points], [y for _, y in points])
