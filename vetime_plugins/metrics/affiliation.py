"""Affiliation precision and recall: how close predictions are to events, against a random prediction."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vetime_plugins.metrics._best import BestF1, pick_best, quantile_thresholds
from vetime_plugins.metrics._inputs import as_pair, explain_undefined
from vetime_plugins.metrics._levels import (
    accumulate,
    assign_levels,
    expand_segments,
    find_runs,
    find_segments,
)

__all__ = ["affiliation_f1"]

_BLOCK_CELLS = 4_000_000  # (zones, thresholds) cells held at once: 32 MB per array


class _Zones(NamedTuple):
    """Zone of influence of each of Z events: ``[low, high)`` holds the event ``[start, stop)``, all (Z,)."""

    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    stop: np.ndarray


def affiliation_f1(labels: Any, scores: Any) -> BestF1:
    """Affiliation F1, precision and recall at the best of 1,500 quantile thresholds.

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; a point is predicted where ``score > threshold``.

    Returns
    -------
    BestF1
        NaN throughout where `explain_undefined` gives a reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Notes
    -----
    Huet et al., "Local Evaluation of Time Series Anomaly Detection Algorithms" (KDD 2022). Time is cut
    half-way between events into zones. Precision of a zone is the mean, over its predicted time, of the
    probability that a random point of the zone lies further from the event; recall is the mean, over the
    event, of the probability that a random point of the zone lies further from it than the nearest
    prediction does. Zones without any prediction have no precision and a recall of 0.

    Precision is a sum over predicted points. Recall is a sum over the gaps between predictions, and every gap
    lives through an interval of thresholds; both are computed for all thresholds together.

    Examples
    --------
    >>> affiliation_f1([0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0, 0]).f1
    0.99...
    """
    truth, values = as_pair(labels, scores)
    if explain_undefined(truth):
        return BestF1.undefined()
    thresholds = quantile_thresholds(values)
    level = assign_levels(values, thresholds, strict=True)
    zones = _make_zones(truth)
    # A point cut by a border between zones appears once in each.
    zone, unit = expand_segments(np.floor(zones.low).astype(int), np.ceil(zones.high).astype(int))

    precision = _precision(zones, zone, unit, level[unit], thresholds.size)
    recall = _recall(zones, zone, unit, level[unit], thresholds.size)
    # The tiny term is the original's; it decides which of several perfect thresholds is reported.
    f1 = 2 * precision * recall / (precision + recall + 1e-15)
    return pick_best(f1, precision, recall, thresholds)


def _make_zones(truth: np.ndarray) -> _Zones:
    starts, stops = find_segments(truth)
    borders = np.concatenate(([0.0], (stops[:-1] + starts[1:]) / 2, [float(truth.size)]))
    return _Zones(borders[:-1], borders[1:], starts.astype(np.float64), stops.astype(np.float64))


def _precision(
    zones: _Zones, zone: np.ndarray, unit: np.ndarray, level: np.ndarray, n_levels: int
) -> np.ndarray:
    """Return precision at every level, (K,); 0 where nothing is predicted."""
    begin = np.maximum(unit, zones.low[zone])
    end = np.minimum(unit + 1, zones.high[zone])
    start, stop = zones.start[zone], zones.stop[zone]
    nearest = np.maximum(np.maximum(start - end, begin - stop), 0)
    furthest = np.maximum(np.maximum(start - begin, end - stop), 0)
    inside = (unit >= start) & (unit < stop)
    gain = np.where(inside, end - begin, _survival(furthest, zones, zone) - _survival(nearest, zones, zone))

    total = np.zeros(n_levels)
    defined = np.zeros(n_levels)
    block = max(1, _BLOCK_CELLS // (n_levels + 1))
    for first in range(0, zones.low.size, block):
        lower, upper = np.searchsorted(zone, [first, first + block])
        cut = slice(lower, upper)
        n_zones = min(block, zones.low.size - first)
        flat = (zone[cut] - first) * (n_levels + 1) + level[cut]

        def per_zone(weights: np.ndarray, flat: np.ndarray = flat, n_zones: int = n_zones) -> np.ndarray:
            sums = np.bincount(flat, weights, n_zones * (n_levels + 1))
            return sums.reshape(n_zones, n_levels + 1)[:, :-1].cumsum(axis=1)

        length = per_zone((end - begin)[cut])
        predicted = length > 0
        share = per_zone(gain[cut]) / np.where(predicted, length, 1)
        total += np.where(predicted, share, 0).sum(axis=0)
        defined += predicted.sum(axis=0)
    return total / np.maximum(defined, 1)


def _survival(distance: np.ndarray, zones: _Zones, zone: np.ndarray) -> np.ndarray:
    """Integrate, from 0 to `distance`, the chance of a random point to be further from the event."""
    width = (zones.high - zones.low)[zone]
    size = (zones.stop - zones.start)[zone]
    both_sides = np.minimum(zones.start - zones.low, zones.high - zones.stop)[zone]
    capped = np.minimum(distance, both_sides)
    nearer = capped**2 / 2 + both_sides * (distance - capped) + distance**2 / 2 + size * distance
    return distance - nearer / width


def _recall(
    zones: _Zones, zone: np.ndarray, unit: np.ndarray, level: np.ndarray, n_levels: int
) -> np.ndarray:
    """Return recall at every level, (K,)."""
    share = 1 / (zones.stop - zones.start) / zones.low.size  # what one unit of an event is worth
    inside = (unit >= zones.start[zone]) & (unit < zones.stop[zone])
    covered = accumulate(level[inside], n_levels, share[zone[inside]])

    # Gaps are runs in the mirrored levels. A wall between zones belongs to no gap at any level.
    wall = n_levels + 1
    changes = np.flatnonzero(np.diff(zone)) + 1
    mirrored = np.insert(n_levels - level, changes, wall)
    gaps = find_runs(np.concatenate(([wall], mirrored, [wall])), wall)
    position = np.insert(np.arange(unit.size), changes, -1)
    position = np.concatenate(([-1], position, [-1]))
    left, right = position[gaps.start - 1], position[gaps.stop]  # the units at both ends, -1 for a wall
    home = zone[position[gaps.start]]

    missing = np.inf
    before = np.where(left >= 0, np.minimum(unit[left] + 1, zones.high[home]), -missing)
    after = np.where(right >= 0, np.maximum(unit[right], zones.low[home]), missing)
    with np.errstate(invalid="ignore"):
        middle = (before + after) / 2
    middle = np.where(np.isinf(before), -missing, np.where(np.isinf(after), missing, middle))
    start, stop = zones.start[home], zones.stop[home]
    value = _closeness(
        np.maximum(before, start), np.minimum(middle, stop), before, zones.low[home], zones.high[home]
    )
    # Time runs backwards for the half that is nearer to the prediction after it.
    value += _closeness(
        -np.minimum(after, stop), -np.maximum(middle, start), -after, -zones.high[home], -zones.low[home]
    )
    alone = np.isinf(before) & np.isinf(after)  # no prediction in the zone at all
    kept = ~alone & (value != 0)
    born = n_levels - np.minimum(gaps.dies[kept], n_levels)
    dies = n_levels - np.minimum(gaps.born[kept], n_levels)
    return covered + accumulate(born, n_levels, (value * share[home])[kept], dies)


def _closeness(
    begin: np.ndarray, end: np.ndarray, pivot: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Integrate, over y from `begin` to `end`, the chance of a random point to be further than `pivot`.

    `pivot` lies before `begin`, inside the zone from `low` to `high`. 0 where the interval is empty.
    """
    there = (end > begin) & np.isfinite(pivot)
    begin, end, pivot = np.where(there, begin, 0.0), np.where(there, end, 0.0), np.where(there, pivot, 0.0)
    turn = (pivot + high) / 2  # behind it the end of the zone is nearer than the pivot

    def nearer(y: np.ndarray) -> np.ndarray:
        close = np.minimum(y, turn) - pivot
        rest = np.maximum(y, turn)
        return close**2 / 2 + ((high - turn) ** 2 - (high - rest) ** 2) / 2 + (y - pivot) ** 2 / 2

    value = end - begin - (nearer(end) - nearer(begin)) / (high - low)
    return np.where(there, value, 0.0)
