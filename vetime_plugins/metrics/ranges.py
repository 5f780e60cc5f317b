"""F1-T: precision and recall over ranges, with a recall that cannot fall when more is found."""

from __future__ import annotations

from typing import Any

import numpy as np

from vetime_plugins.metrics._best import N_QUANTILES, BestF1, pick_best
from vetime_plugins.metrics._inputs import as_pair, explain_undefined
from vetime_plugins.metrics._levels import (
    accumulate,
    assign_levels,
    expand_segments,
    find_runs,
    find_segments,
    lowest_alive,
)

__all__ = ["range_f1"]

_BLOCK_CELLS = 4_000_000  # (segments, thresholds) cells held at once: 32 MB per array
_FAR = 100  # powers of two from 1 beyond which scores are moved: float32 ends at 127


def range_f1(labels: Any, scores: Any, *, count_every_range: bool = False) -> BestF1:
    """Range-based F1 at the best of 1,500 quantile thresholds (F1-T).

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; a point is predicted where ``score > threshold``.
    count_every_range : bool, default False
        False gives the figures of the published evaluation code, True the definition in the paper; they
        differ in what precision is divided by, see the notes.

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
    Tatbul et al. (NeurIPS 2018) in the recall-consistent form of Wagner et al., "TimeSeAD" (TMLR 2023). A
    true segment of g points, touched by c predicted ranges, is worth its covered share times ``((g - 1) /
    g) ** (c - 1)``; recall is the mean over true segments. Precision swaps the roles and weighs each
    predicted range by its length.

    The evaluation code that TSB-AD-style tables rest on stops its walk over predicted ranges at the first one
    that starts after the last true segment: the ranges behind that one are false alarms that cost nothing. It
    also works in single precision. Both are kept by default because figures are compared across papers.

    Examples
    --------
    >>> round(range_f1([0, 1, 1, 0, 0, 0], [0, 5, 6, 0, 0, 1]).f1, 4)
    1.0
    """
    truth, values = as_pair(labels, scores)
    if explain_undefined(truth):
        return BestF1.undefined()
    # A power of two changes nothing but what single precision cannot hold.
    exponent = -int(np.frexp(np.abs(values).max())[1])
    exponent = exponent if abs(exponent) > _FAR else 0
    single = np.ldexp(values, exponent).astype(np.float32)
    thresholds = np.sort(_single_precision_quantiles(single))[::-1]
    level = assign_levels(single, thresholds, strict=True)

    recall = _recall(truth, level, thresholds.size).astype(np.float32)
    precision = _precision(truth, level, thresholds.size, count_every_range).astype(np.float32)
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(np.float32(2) * precision * recall / (precision + recall))
    return pick_best(f1, precision, recall, np.ldexp(thresholds.astype(np.float64), -exponent))


def _single_precision_quantiles(values: np.ndarray) -> np.ndarray:
    """Return 1,500 quantiles by linear interpolation, every step in float32 as `torch.quantile` does it."""
    one = np.float32(1)
    index = np.arange(N_QUANTILES)
    step = one / np.float32(N_QUANTILES - 1)
    half = N_QUANTILES // 2  # torch.linspace counts from both ends
    shares = np.where(
        index < half,
        step * index.astype(np.float32),
        one - step * (N_QUANTILES - 1 - index).astype(np.float32),
    )
    ordered = np.sort(values)
    rank = shares.astype(np.float32) * np.float32(values.size - 1)
    below = np.clip(np.floor(rank).astype(np.int64), 0, values.size - 1)
    above = np.clip(np.ceil(rank).astype(np.int64), 0, values.size - 1)
    weight = rank - below.astype(np.float32)
    low, high = ordered[below], ordered[above]
    return np.where(weight < 0.5, low + weight * (high - low), high - (high - low) * (one - weight))


def _recall(truth: np.ndarray, level: np.ndarray, n_levels: int) -> np.ndarray:
    """Return the range recall at every level, (K,)."""
    starts, stops = find_segments(truth)
    total = np.zeros(n_levels)
    block = max(1, _BLOCK_CELLS // (n_levels + 1))
    for first in range(0, starts.size, block):
        begin, end = starts[first : first + block], stops[first : first + block]
        sizes = end - begin
        segment, point = expand_segments(begin, end)
        here = level[point]
        # A predicted range starts at a point from the level that predicts it to the one that predicts the
        # point before; the first point of a segment starts one for good, wherever that range really begins.
        before = np.where(point == begin[segment], n_levels, level[point - 1])
        heads = here < before
        shape, cells = (begin.size, n_levels + 1), begin.size * (n_levels + 1)
        flat = segment * (n_levels + 1)
        covered = np.bincount(flat + here, minlength=cells).reshape(shape)[:, :-1].cumsum(axis=1)
        change = np.bincount((flat + here)[heads], minlength=cells)
        change -= np.bincount((flat + before)[heads], minlength=cells)
        ranges = change.reshape(shape)[:, :-1].cumsum(axis=1)
        factor = (1 - 1 / sizes)[:, None] ** np.maximum(ranges - 1, 0)
        total += (factor * covered / sizes[:, None]).sum(axis=0)
    return total / starts.size


def _precision(truth: np.ndarray, level: np.ndarray, n_levels: int, count_every_range: bool) -> np.ndarray:
    """Return the range precision at every level, (K,); 0 where nothing is predicted."""
    starts, stops = find_segments(truth)
    runs = find_runs(level, n_levels)
    sizes = (runs.stop - runs.start).astype(np.float64)
    before = np.concatenate(([0], np.cumsum(truth)))
    overlap = before[runs.stop] - before[runs.start]
    touched = np.searchsorted(starts, runs.stop) - np.searchsorted(stops, runs.start, side="right")
    worth = overlap * (1 - 1 / sizes) ** np.maximum(touched - 1, 0)

    if count_every_range:
        counted = accumulate(level, n_levels)
    else:
        behind = runs.start >= stops[-1]
        front = ~behind
        counted = accumulate(runs.born[front], n_levels, sizes[front], runs.dies[front])
        # The first range behind the last segment is counted as well: the one with the lowest start.
        base = level.size + 1
        packed = runs.start[behind] * base + runs.stop[behind]
        first = lowest_alive(packed, runs.born[behind], runs.dies[behind], n_levels, missing=base * base)
        counted += np.where(first < base * base, first % base - first // base, 0)

    gained = accumulate(runs.born, n_levels, worth, runs.dies)
    with np.errstate(invalid="ignore"):
        return np.where(counted > 0, gained / np.maximum(counted, 1), 0.0)
