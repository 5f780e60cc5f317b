"""PATE: area under a precision-recall curve in which nearness in time counts."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from vetime_plugins.metrics._inputs import as_buffer, as_pair, explain_undefined
from vetime_plugins.metrics._levels import (
    accumulate,
    assign_levels,
    expand_segments,
    find_runs,
    find_segments,
    first_hits,
)

__all__ = ["pate"]


class _Segments(NamedTuple):
    """The M true segments: first and last point, and the level that finds each one first, all (M,)."""

    first: np.ndarray
    last: np.ndarray
    found: np.ndarray


def pate(labels: Any, scores: Any, buffer: int, *, n_thresholds: int | None = None) -> float:
    """Proximity-aware time-series anomaly evaluation.

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; a point is predicted where ``score >= threshold``.
    buffer : int
        Largest early and largest delay buffer, in points.
    n_thresholds : int, optional
        Take that many evenly spaced percentiles of the thresholds (250 in the authors' package) instead of
        all.

    Returns
    -------
    float
        In [0, 1]; NaN where `explain_undefined` gives a reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Notes
    -----
    Ghorbani et al., "PATE: Proximity-Aware Time series anomaly Evaluation" (KDD 2024): mean, over early and
    delay buffers of 0 and `buffer` points, of the area under the curve. A predicted point in the buffer
    behind a segment counts as a true positive in part, the less the further it lies away; one in the buffer
    before a segment likewise, provided the segment itself is hit. Missed points of a segment weigh less the
    further they lie behind its start, after a grace period as long as the first detected stretch.

    Everything is computed for all thresholds at once, in O(T log T), where the authors' package takes one
    pass over the series a threshold.

    Examples
    --------
    >>> round(pate([0, 0, 0, 1, 1, 1, 0, 0], [0, 1, 0, 5, 6, 5, 4, 0], buffer=2), 4)
    1.0
    """
    truth, values = as_pair(labels, scores)
    reach = as_buffer(buffer)
    if explain_undefined(truth):
        return float("nan")
    thresholds = _thresholds(truth, values)
    if n_thresholds is not None:
        thresholds = np.percentile(thresholds, np.linspace(100, 0, n_thresholds))
    level = assign_levels(values, thresholds, strict=False)
    n_levels = thresholds.size

    starts, stops = find_segments(truth)
    found = first_hits(level, starts, stops)
    segments = _Segments(starts, stops - 1, found)
    predicted = accumulate(level, n_levels)
    hits = accumulate(level[truth], n_levels)
    missed = _missed(truth, level, n_levels, segments)

    areas = []
    for early, delay in product((0, reach), repeat=2):
        true = hits + _near_hits(level, n_levels, segments, early, delay)
        precision = true / np.maximum(predicted, 1)
        recall = true / np.maximum(true + missed, np.finfo(float).tiny)
        areas.append(_area(precision, recall))
    return float(np.mean(areas))


def _thresholds(truth: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the distinct scores, highest first, without those inside a stretch of false positives."""
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), values.size - 1)
    true = np.cumsum(truth[order])[last]
    if true.size > 2:
        kept = np.ones(true.size, dtype=bool)
        kept[1:-1] = (np.diff(true[:-1]) > 0) | (np.diff(true[1:]) > 0)
        last = last[kept]
    return ordered[last]


def _near_hits(level: np.ndarray, n_levels: int, segments: _Segments, early: int, delay: int) -> np.ndarray:
    """Return the weighted true positives outside the segments at every level, (K,)."""
    first, last, found = segments
    middle = (first + last) / 2
    post_end = np.minimum(last + delay, np.append(first[1:], level.size) - 1)
    pre_start = np.maximum(np.maximum(first - early, 0), np.concatenate(([0], post_end[:-1] + 1)))

    # A segment's mean distance to a point outside is the distance to its middle.
    owner, point = expand_segments(last + 1, post_end + 1)
    weight = 1 - (point - middle[owner]) / (post_end - middle)[owner]
    total = accumulate(level[point], n_levels, weight)

    owner, point = expand_segments(pre_start, first)
    weight = 1 - (middle[owner] - point) / (middle - pre_start)[owner]
    return total + accumulate(np.maximum(level[point], found[owner]), n_levels, weight)


def _missed(truth: np.ndarray, level: np.ndarray, n_levels: int, segments: _Segments) -> np.ndarray:
    """Return the weighted false negatives at every level, (K,).

    Within a segment the value changes only at the levels of its own points; each such (segment, level) pair
    is one question, and the answers are added up as steps.
    """
    first, last, found = segments
    sizes = last - first + 1
    owner, point = expand_segments(first, last + 1)
    offset = point - first[owner]
    inner = level[point]

    questions, counts = np.unique(owner * (n_levels + 1) + inner, return_counts=True)
    asked, at = np.divmod(questions, n_levels + 1)
    caught = np.cumsum(counts) - (np.cumsum(sizes) - sizes)[asked]
    known = at < n_levels
    asked, at, caught = asked[known], at[known], caught[known]

    grace = _first_stretch(owner, inner, n_levels, asked, at)
    ends = np.cumsum(sizes)[asked]
    begin = np.minimum(ends - sizes[asked] + grace + 1, ends)
    late, late_sum = _count_above(inner, offset, begin, ends, at)
    # Sum, over late missed points, of the distances to the points from the start to the end of the grace
    # period.
    distance = (grace + 1) * (late_sum - late * grace / 2)
    size = sizes[asked]
    value = size - caught - distance / np.maximum(size * (size - 1) / 2, 1)

    follows = np.append(asked[1:] == asked[:-1], False)
    until = np.where(follows, np.append(at[1:], 0), n_levels)
    undetected = accumulate(np.zeros_like(found), n_levels, sizes.astype(np.float64), found)
    return undetected + accumulate(at, n_levels, value, until)


def _first_stretch(
    owner: np.ndarray, inner: np.ndarray, n_levels: int, asked: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Return, for each (segment, level), the length of the first run of predicted points in the segment."""
    heads = np.flatnonzero(np.diff(owner, prepend=-1))
    walled = np.insert(inner, heads, n_levels)  # a wall before every segment keeps runs inside
    runs = find_runs(walled, n_levels)
    walls = heads + np.arange(heads.size)
    start = runs.start - np.searchsorted(walls, runs.start)  # the same point without the walls
    segment = owner[start]

    # Lowest level of the points of the segment before each point: from there on an earlier run exists.
    base = n_levels + 1
    keyed = np.minimum.accumulate(inner + (owner.max() - owner) * base) - (owner.max() - owner) * base
    before = np.concatenate(([n_levels], keyed[:-1]))
    before[heads] = n_levels
    is_first = runs.born < np.minimum(runs.dies, before[start])

    key = segment[is_first] * base + runs.born[is_first]
    order = np.argsort(key)
    lengths = (runs.stop - runs.start)[is_first][order]
    return lengths[np.searchsorted(key[order], asked * base + at, side="right") - 1]


def _count_above(
    level: np.ndarray, value: np.ndarray, begin: np.ndarray, end: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count and sum up, for Q questions, the points ``begin`` to ``end - 1`` with a level above ``at``.

    Of N points there are `level` and `value`, which is summed; each question has a `begin`, `end` and `at`.
    A wavelet matrix: points are partitioned by one bit of their level after the other, highest bit first, and
    every question follows its own bits; O((N + Q) log K) without a loop over questions.
    """
    count = np.zeros(at.size, dtype=np.int64)
    total = np.zeros(at.size, dtype=np.int64)
    for bit in reversed(range(int(max(level.max(), at.max(initial=0))).bit_length())):
        high = (level >> bit) & 1
        ones = np.concatenate(([0], np.cumsum(high)))
        sums = np.concatenate(([0], np.cumsum(high * value)))
        low_question = ((at >> bit) & 1) == 0
        left, right = ones[begin], ones[end]
        count += np.where(low_question, right - left, 0)
        total += np.where(low_question, sums[end] - sums[begin], 0)
        n_low = level.size - ones[-1]
        begin = np.where(low_question, begin - left, n_low + left)
        end = np.where(low_question, end - right, n_low + right)
        order = np.argsort(high, kind="stable")
        level, value = level[order], value[order]
    return count, total


def _area(precision: np.ndarray, recall: np.ndarray) -> float:
    """Return the area by trapezoids, from (0, 1), over the points at which recall does not fall."""
    recall = np.concatenate(([0.0], recall))
    precision = np.concatenate(([1.0], precision))
    kept = recall >= np.maximum.accumulate(recall)
    recall, precision = recall[kept], precision[kept]
    return float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2))
