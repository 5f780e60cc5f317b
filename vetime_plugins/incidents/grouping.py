"""From the steps above a threshold to stretches that are one thing each, by the scores alone.

A step that stands out lifts the scores around it, since every window that holds it is new: the flagged run is
longer than what happened, and two things may share one run. Heights are logits of the scores, which do not
saturate. The rule:

1. A run is what lies above a lower level without a break longer than `gap`, and above the threshold
   somewhere. The level is halfway from the median to the threshold: a threshold that is quiet on calm data is
   close to the peaks, and what lies between two of them is as high as no usual step is.
2. In a run, the stretch around the highest step that reaches half of its height above the level is one
   incident; breaks of at most `gap` steps do not end it.
3. To both sides of it another incident begins behind a valley that is lower than half of the height of what
   comes behind; and so on. What has no such valley is the flank of the incident beside it.
   None is an incident that is nowhere above the threshold.
4. Incidents that are at most `gap` steps apart are one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.series.period import find_period
from vetime_plugins.series.scale import find_runs

__all__ = [
    "Stretch",
    "default_gap",
    "doubts",
    "group",
    "heights",
    "join_close",
    "lower_level",
    "part",
    "runs",
]

_LEAST_GAP, _MOST_GAP, _GAP_WITHOUT_PERIOD = 2, 16, 8
_CERTAIN = 1e-15
_WELL_BELOW = 0.5  # of the way from the median score to the threshold


class Stretch(NamedTuple):
    """Steps ``[start, stop)``, the highest of them, and the steps ``[low, high)`` of its run that it owns."""

    start: int
    stop: int
    peak: int
    low: int
    high: int


def default_gap(values: NDArray[np.float64] | None) -> int:
    """Return how many quiet steps do not part an incident, from a series (T, C).

    A quarter of its longest period, from 2 to 16 steps. Where there is no period it is 8, half of the
    shortest window that the scores compare.
    """
    if values is None:
        return _GAP_WITHOUT_PERIOD
    period = max(find_period(column) for column in values.T)
    if period <= 1:
        return _GAP_WITHOUT_PERIOD
    return min(max(period // 4, _LEAST_GAP), _MOST_GAP)


def heights(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logits of scores in [0, 1]; scores of another range as they are."""
    if scores.min() < 0 or scores.max() > 1:
        return scores
    inside = scores.clip(_CERTAIN, 1 - _CERTAIN)
    return np.log(inside) - np.log1p(-inside)


def doubts(scores: NDArray[np.float64], threshold: float) -> NDArray[np.int8]:
    """Return for each step (T,) how little one can learn from it of what is usual.

    2 above the threshold, 1 where the score is raised: where an anomaly recurs, some steps of each stay below
    the threshold, and they are alike. 0 is left for half of the steps at least.
    """
    level = heights(np.append(scores, threshold))
    level, floor = level[:-1], float(level[-1])
    middle = float(np.median(level))
    raised = level > max(middle, lower_level(middle, floor))
    return raised.astype(np.int8) + (scores > threshold)


def lower_level(middle: float, floor: float) -> float:
    """Return the level down to which an incident goes, from those of the median and of the threshold."""
    return middle + _WELL_BELOW * (floor - middle) if floor > middle else floor


def runs(flags: NDArray[np.bool_], gap: int = 0) -> list[tuple[int, int]]:
    """Return the spans ``[start, stop)`` of True, those with at most `gap` steps between them joined."""
    starts, stops = find_runs(flags, gap)
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def group(scores: NDArray[np.float64], threshold: float, gap: int) -> list[Stretch]:
    """Return the stretches of scores (T,) in the order of time, by the rule of this module."""
    level = heights(np.append(scores, threshold))
    level, limit = level[:-1], float(level[-1])
    middle = float(np.median(level))
    low = lower_level(middle, limit)
    floor = max(low, middle)  # a threshold of 0 is no height to halve from
    found = []
    for start, stop in runs((level > low) | (scores > threshold), gap):
        if scores[start:stop].max() > threshold:
            found += part(level, start, stop, floor, gap)
    found = [one for one in found if scores[one.peak] > threshold]
    return join_close(found, level, gap)


def part(level: NDArray[np.float64], start: int, stop: int, floor: float, gap: int) -> list[Stretch]:
    """Cut one run into stretches. What is still to be cut is on a stack: a run may be long."""
    found, left = [], [(start, stop)]
    while left:
        low, high = left.pop()
        part = level[low:high]
        peak = low + int(part.argmax())
        half = min(floor + 0.5 * (level[peak] - floor), level[peak])  # a run may lie below the median
        a, b = next(span for span in runs(part >= half, gap) if span[0] <= peak - low < span[1])
        a, b = a + low, b + low
        before = _behind_valley(level[low:a][::-1], floor)
        after = _behind_valley(level[b:high], floor)
        own_low, own_high = low, high
        if before is not None:
            own_low = a - before
            left.append((low, own_low))
        if after is not None:
            own_high = b + after
            left.append((own_high, high))
        found.append(Stretch(a, b, peak, own_low, own_high))
    return found


def _behind_valley(flank: NDArray[np.float64], floor: float) -> int | None:
    """Return where in a flank, read away from a peak, the lowest step lies in front of another peak."""
    if len(flank) < 2:
        return None
    best = np.maximum.accumulate(flank[::-1])[::-1]  # the highest from here on
    lowest = np.minimum.accumulate(flank)
    deep = np.flatnonzero((lowest < floor + 0.5 * (best - floor)) & (best > floor))
    if not len(deep):
        return None
    peak = deep[0] + int(flank[deep[0] :].argmax())
    return int(flank[: peak + 1].argmin())


def join_close(found: list[Stretch], level: NDArray[np.float64], gap: int) -> list[Stretch]:
    """Join stretches with at most `gap` steps between them; the peak is the higher one by `level` (T,)."""
    joined: list[Stretch] = []
    for one in sorted(found):
        if joined and one.start - joined[-1].stop <= gap:
            last = joined.pop()
            peak = last.peak if level[last.peak] >= level[one.peak] else one.peak
            one = Stretch(last.start, max(last.stop, one.stop), peak, last.low, max(last.high, one.high))
        joined.append(one)
    return joined
