"""The likely kind of an incident: the simplest change that turns what was expected into what came.

Every kind is a hypothesis with a few free numbers. Each is fitted to the incident, and what it leaves of the
residual's energy tells how well it does; a hypothesis with more numbers has to leave less. Where none
explains the residual, it is another shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from vetime_plugins.incidents.expected import Course
from vetime_plugins.incidents.grouping import runs

__all__ = ["brief", "extent", "likely_kind"]

Array = NDArray[np.float64]

_NOTABLE = 4.0  # residuals in deviations of the noise that no usual step has
_OF_PEAK = 0.2  # and as a share of the largest: what a spike's neighbours do does not count
_POINT = 3  # steps of a spike at most, where there is no period
_AROUND = 48  # steps beside the core that lone steps are compared with
_LONE = 0.5  # of the largest: steps as high belong to it
_LONELY = 4.5  # times as high as nearly all others
_ENOUGH = 0.45  # of the energy may be left by an explanation
_RESTS = 0.3  # share of the steps at one level where a series has rests
_PER_NUMBER = 0.06  # by how much a hypothesis must be better for each number that it may choose


def brief(period: int) -> int:
    """Return how many steps a spike or dip has at most: a quarter of a cycle, 3 at least."""
    return max(_POINT, min(period // 4, 100))


def extent(course: Course, low: int, high: int, core: tuple[int, int], gap: int) -> tuple[int, int] | None:
    """Return the first step and the one after the last where the values are not what was expected.

    Parameters
    ----------
    course : Course
    low, high : int
        Steps ``[low, high)`` that may belong to the incident, as positions in the series.
    core : tuple of int
        Steps ``[start, stop)`` that do by their scores.
    gap : int
        Breaks that do not part an incident.

    Returns
    -------
    tuple of int, or None
        None where no step in the core or close to it stands out from the noise.
    """
    residual = np.abs(course.residual)[low - course.begin : high - course.begin]
    if not course.matched or not len(residual):
        return None
    least = max(_NOTABLE * course.noise, _OF_PEAK * float(residual.max()))
    spans = [(low + a, low + b) for a, b in runs(residual > least, gap)]
    spans = [(a, b) for a, b in spans if a < core[1] + gap and b > core[0] - gap]
    return (spans[0][0], spans[-1][1]) if spans else None


def lone_steps(x: Array, core: tuple[int, int], gap: int) -> tuple[int, int] | None:
    """Return the one to three steps of a core that stand out from the steps around them, or None.

    Parameters
    ----------
    x : float64 ndarray of shape (T,)
        One variable.
    core : tuple of int
        Steps ``[start, stop)``.
    gap : int
        So far from the core the steps may lie.
    """
    low, high = max(0, core[0] - _AROUND), min(len(x), core[1] + _AROUND)
    away = np.abs(x[low:high] - median_filter(x[low:high], 2 * _POINT + 1, mode="nearest"))
    inside = slice(max(0, core[0] - gap - low), core[1] + gap - low)
    peak = inside.start + int(away[inside].argmax())
    high_steps = away > _LONE * away[peak]
    spans = runs(high_steps)
    a, b = next((span for span in spans if span[0] <= peak < span[1]), (peak, peak))
    others = np.delete(away, np.arange(max(0, a - 1), min(len(away), b + 1)))
    if not 1 <= b - a <= _POINT or not len(others) or away[peak] < _LONELY * np.quantile(others, 0.98):
        return None
    # A spike comes back: it stands out to the same side from the steps before and after it, an edge does not.
    beside = x[[at for at in (low + a - 1, low + b) if 0 <= at < len(x)]]
    rise = (x[low + peak] - beside) * np.sign(x[low + peak] - beside.mean())
    comes_back = np.ptp(beside) < _LONE * rise.min() and rise.min() > _LONE * away[peak]
    return (low + a, low + b) if comes_back else None


def likely_kind(course: Course, start: int, stop: int) -> str:
    """Return the likely kind of the incident ``[start, stop)`` of one variable, one of `KINDS`.

    It is never "broken relation", which one variable cannot tell.

    Parameters
    ----------
    course : Course
        That holds the incident.
    start, stop : int
        Positions in the series.
    """
    inside = slice(start - course.begin, stop - course.begin)
    x, y = course.values[inside], course.expected[inside]
    residual = x - y
    n, energy = len(x), float(residual @ residual)
    peak = residual[int(np.abs(residual).argmax())]
    if n <= _POINT:
        return "spike" if peak >= 0 else "dip"
    rests = _rests(course, x, y)
    if rests is not None:
        return rests
    if n <= brief(course.period) and (residual > 0).mean() in (0.0, 1.0):
        return "spike" if peak >= 0 else "dip"
    if energy <= n * (1.5 * course.noise) ** 2 and _steps(x) < 0.5 * _steps(y):
        return "change of variance"
    left = {name: value / max(energy, 1e-300) for name, value in _hypotheses(course, inside).items()}
    best = min(left, key=lambda name: left[name])
    if left[best] <= _ENOUGH:
        return best
    return "change of variance" if _is_noise(course, residual) else "wrong shape"


def _hypotheses(course: Course, inside: slice) -> dict[str, float]:
    """Return the energy that each hypothesis leaves, with its price added."""
    x, y = course.values[inside], course.expected[inside]
    residual = x - y
    n, energy = len(x), float(residual @ residual)
    price = _PER_NUMBER * energy
    found = {"level shift": _left(residual, np.ones((n, 1))) + price}
    line = np.stack([np.ones(n), np.arange(n) / n], axis=1)
    found["trend change"] = _left(residual, line) + 2.5 * price
    swing = y - y.mean()
    if swing @ swing > n * (2 * course.noise) ** 2:
        gain = float((x - x.mean()) @ swing / (swing @ swing))
        amplitude = _left(x, np.stack([np.ones(n), swing], axis=1)) + 2 * price
        if gain > 0:
            found["change of amplitude"] = amplitude
        found["change of timing"] = _retimed(course, inside) + 2 * price
    return found


def _left(target: Array, basis: Array) -> float:
    """Energy of `target` (n,) that no combination of the columns of `basis` (n, k) explains."""
    coefficients, *_ = np.linalg.lstsq(basis, target, rcond=None)
    rest = target - basis @ coefficients
    return float(rest @ rest)


def _retimed(course: Course, inside: slice) -> float:
    """Energy that is left where the expected course may come early or late, run fast or slow."""
    y, x = course.expected, course.values[inside]
    n, steps = len(x), np.arange(inside.start, inside.stop, dtype=np.float64)
    middle, best = steps.mean(), np.inf
    reach = course.period // 2 if course.period > 1 else n // 2
    reach = min(reach, max(inside.start, len(y) - inside.stop))
    shifts = np.unique(np.linspace(-reach, reach, min(2 * reach + 1, 61)).round())
    for speed in (0.33, 0.4, 0.5, 0.6, 0.67, 0.75, 0.85, 1.0, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0):
        at = middle + speed * (steps - middle) + shifts[:, None]
        if course.period > 1:  # a cycle further on is as good as one that is not here
            at = np.where(at < 0, at % course.period, at)
            over = at > len(y) - 1
            at = np.where(over, len(y) - 1 - (len(y) - 1 - at) % course.period, at)
        moved = np.interp(at.ravel(), np.arange(len(y)), y).reshape(at.shape)
        moved = moved + (x.mean() - moved.mean(axis=1))[:, None]
        best = min(best, float(((x - moved) ** 2).sum(axis=1).min()))
    return best


def _steps(x: Array) -> float:
    """Median size of the steps of (n,)."""
    return float(np.median(np.abs(np.diff(x)))) if len(x) > 1 else 0.0


def _rests(course: Course, x: Array, y: Array) -> str | None:
    """Return "flat" or "missing cycle" where the values stay at a level though they were expected to move."""
    core = x[1:-1] if len(x) > 4 else x  # the ends may lie outside
    tiny = 1e-6 * max(course.spread, 1e-12)
    away = np.abs(core - np.median(core))
    outside = course.values[course.known]
    if (away <= tiny).mean() >= 0.9 and (len(outside) < 2 or np.median(np.abs(np.diff(outside))) > tiny):
        return "flat"
    if away.std() > 1.5 * course.noise or core.std() > 2 * course.noise or y.std() < _NOTABLE * course.noise:
        return None
    # Cycles with a rest between them, like heartbeats, can miss one: the values are at rest a little longer.
    at_rest = np.mean(np.abs(outside - np.median(core)) <= 2 * course.noise) if len(outside) else 0.0
    period = course.period
    once = period > 1 and period // 2 <= len(x) <= 2 * period
    return "missing cycle" if once and at_rest >= _RESTS else "flat"


def _is_noise(course: Course, residual: Array) -> bool:
    """Tell whether a residual has no course of its own: neighbouring steps know nothing of each other."""
    centred = residual - residual.mean()
    power = float(centred @ centred)
    if len(residual) < 8 or power <= 0:
        return False
    lag_one = float(centred[1:] @ centred[:-1]) / power
    return lag_one < 0.35
