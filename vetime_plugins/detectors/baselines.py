"""Detectors simple enough to be written down in a line; a model that loses to them has no reason to exist.

Each is a function from a series, (T,) or (T, C), to scores, (T,), higher meaning more anomalous. They look
at the whole series at once and use neither labels nor a train part. Variables are standardised first, which
changes no ranking of a single variable and weighs several alike; gaps (NaN) are interpolated; constant
variables are left out. A malformed series, and a window or a number below one, is an `InputError`.
The last four functions make detectors of the leaderboard of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from vetime_plugins.detectors.registry import Job, built_in
from vetime_plugins.errors import InputError
from vetime_plugins.series.gaps import fill_gaps
from vetime_plugins.series.inputs import as_columns
from vetime_plugins.series.period import find_buffer

__all__ = ["BASELINES", "moving_variance", "random_scores", "sub_knn", "sub_pca"]

_MIN_WINDOW = 10
_BLOCK_CELLS = 1 << 23  # numbers held at once by a block of windows or of distances: 64 MB


def random_scores(series: Any, *, seed: int = 0) -> np.ndarray:
    """Score every point by chance, uniformly in [0, 1): what any detector must beat.

    Only the length of the series counts; the same seed and length give the same scores.

    Examples
    --------
    >>> random_scores([1, 2, 3]).shape
    (3,)
    """
    return np.random.default_rng(seed).random(len(_standardise(series)))


def moving_variance(series: Any, *, window: int = 25) -> np.ndarray:
    """Score a point by its distance to the mean around it plus the standard deviation around it.

    `window` are the points in the centred window, which is cut off at both ends of the series. Of several
    variables the score is the mean of the standardised scores of each.

    Examples
    --------
    >>> int(moving_variance([0, 0, 0, 0, 9, 0, 0, 0, 0], window=3).argmax())
    4
    """
    width = _check_window(window)
    return _combine(lambda column: _moving_variance(column, width), _standardise(series))


def sub_pca(series: Any, *, window: int | None = None, max_fit: int = 5000) -> np.ndarray:
    """Score windows by their Mahalanobis distance in the principal axes of all windows.

    The score of a point is the mean over the windows that cover it; of several variables the mean of the
    standardised scores.

    Parameters
    ----------
    series : array-like of shape (T,) or (T, C)
    window : int, optional
        Points in a window; where left out the period of the first variable (`find_buffer`), at least 10.
    max_fit : int, default 5000
        The axes are found from about that many evenly spaced windows.

    Notes
    -----
    Windows have their own mean removed. The score is the sum over axes of the squared projection over the
    eigenvalue, to which a 1e-9th of the largest is added.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.sin(np.arange(400) / 4)
    >>> wave[200:210] = 0
    >>> bool(190 <= sub_pca(wave).argmax() < 220)
    True
    """
    width = _window_for(series, window)
    return _combine(lambda column: _sub_pca(column, width, max_fit), _standardise(series))


def sub_knn(
    series: Any, *, window: int | None = None, n_neighbors: int = 5, max_bank: int = 4000
) -> np.ndarray:
    """Score windows by their mean distance to the nearest other windows of the series.

    The score of a point is the mean over the windows that cover it, in standard deviations of the series.

    Parameters
    ----------
    series : array-like of shape (T,) or (T, C)
    window : int, optional
        Points in a window; where left out the period of the first variable (`find_buffer`), at least 10.
    n_neighbors : int, default 5
    max_bank : int, default 4000
        Neighbours are sought among every s-th window, s = number of windows // `max_bank`; a window that is
        in this bank finds itself.

    Notes
    -----
    Windows have their own mean removed and are not scaled; those of several variables are joined to one
    vector. Candidates come from a blocked matrix product in single precision; the distances to them are
    computed anew without cancellation, so equal windows have the distance 0 exactly.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.sin(np.arange(400) / 4)
    >>> wave[200:210] = 0
    >>> bool(190 <= sub_knn(wave).argmax() < 220)
    True
    """
    width = _window_for(series, window)
    if n_neighbors < 1 or max_bank < 1:
        raise InputError(f"n_neighbors and max_bank must be >= 1, got {n_neighbors} and {max_bank}")
    values = _standardise(series)
    n_windows = len(values) - min(width, len(values)) + 1
    if values.shape[1] == 0:
        return np.zeros(len(values))
    windows = [sliding_window_view(column, min(width, len(values))) for column in values.T]
    step = max(1, n_windows // max_bank)
    bank = np.arange(0, n_windows, step)
    return _spread(_neighbour_distances(windows, bank, n_neighbors), min(width, len(values)))


BASELINES: dict[str, Callable[[Any], np.ndarray]] = {
    "random": random_scores,
    "moving-variance": moving_variance,
    "sub-pca": sub_pca,
    "sub-knn": sub_knn,
}
"""The baselines by name, each a function from a series to its scores."""


def _standardise(series: Any) -> np.ndarray:
    """Return the series as (T, C'), each variable with mean 0 and deviation 1, without the constant ones."""
    values = fill_gaps(as_columns(series))
    largest = np.abs(values).max(axis=0)
    values = values / np.where(largest > 0, largest, 1)  # squares of huge values would overflow
    values -= values.mean(axis=0)
    deviation = values.std(axis=0)
    varies = deviation > 1e-12
    return values[:, varies] / deviation[varies]


def _combine(score: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """Average the scores of several variables after standardising each; one alone stays as it is."""
    columns = [score(column) for column in values.T]
    if len(columns) == 1:
        return columns[0]
    total = np.zeros(len(values))
    for column in columns:
        deviation = column.std()
        total += (column - column.mean()) / (deviation if deviation > 0 else 1)
    return total / max(len(columns), 1)


def _moving_variance(column: np.ndarray, width: int) -> np.ndarray:
    left, right = width // 2, (width - 1) // 2
    padded = np.concatenate((np.full(left, np.nan), column, np.full(right, np.nan)))
    result = np.empty(len(column))
    for block in _blocks(len(column), width):
        around = sliding_window_view(padded, width)[block]
        there = ~np.isnan(around)
        count = there.sum(axis=1)
        mean = np.where(there, around, 0).sum(axis=1) / count
        spread = np.sqrt((np.where(there, around - mean[:, None], 0) ** 2).sum(axis=1) / count)
        result[block] = np.abs(column[block] - mean) + spread
    return result


def _sub_pca(column: np.ndarray, width: int, max_fit: int) -> np.ndarray:
    width = min(width, len(column))
    windows = sliding_window_view(column, width)
    center = np.zeros(width)
    for block in _blocks(len(windows), width):
        center += _remove_mean(windows[block]).sum(axis=0)
    center /= len(windows)
    sample = _remove_mean(windows[:: max(1, len(windows) // max_fit)]) - center
    eigenvalues, axes = np.linalg.eigh(sample.T @ sample / len(sample))
    largest = eigenvalues[-1]
    if largest <= 0:  # every window alike
        return np.zeros(len(column))
    axes = axes / np.sqrt(np.maximum(eigenvalues, 0) + 1e-9 * largest)
    scores = np.empty(len(windows))
    for block in _blocks(len(windows), width):
        scores[block] = np.square((_remove_mean(windows[block]) - center) @ axes).sum(axis=1)
    return _spread(scores, width)


def _neighbour_distances(windows: list[np.ndarray], bank: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Return the mean distance of every window to its nearest ones in the bank, (N,).

    `windows` (N, P) of each variable come with their means; `bank` (B,) says which are candidates.
    """
    n_windows, width = windows[0].shape
    kept = min(n_neighbors, bank.size)
    candidates = min(kept + 3, bank.size)  # a few more, since single precision may swap close ones
    together = max(1, _BLOCK_CELLS // (bank.size * width))  # variables joined in one product
    groups = [windows[start : start + together] for start in range(0, len(windows), together)]
    bank_norms = np.zeros(bank.size, dtype=np.float32)
    for group in groups:
        bank_norms += np.square(_join(group, bank)).sum(axis=1)

    result = np.empty(n_windows)
    for block in _blocks(n_windows, max(width * candidates, bank.size)):
        # Squared distances without the block's own norms, which do not change the order in a row.
        partial = np.zeros((block.stop - block.start, bank.size), dtype=np.float32)
        for group in groups:
            partial += _join(group, block) @ (-2 * _join(group, bank)).T
        partial += bank_norms
        nearest = bank[_smallest(partial, candidates)]
        exact = np.zeros(nearest.shape)
        for variable in windows:
            rows = _remove_mean(variable[block])[:, None, :]
            exact += np.square(rows - _remove_mean(variable[nearest])).sum(axis=2)
        exact.partition(kept - 1, axis=1)
        result[block] = np.sqrt(exact[:, :kept]).mean(axis=1)
    return result


def _join(group: list[np.ndarray], rows: slice | np.ndarray) -> np.ndarray:
    """Return some windows of several variables, each without its mean, side by side in single precision."""
    return np.concatenate([_remove_mean(variable[rows]).astype(np.float32) for variable in group], axis=1)


def _smallest(matrix: np.ndarray, count: int) -> np.ndarray:
    """Return the columns of the `count` smallest entries of each row, unordered, (rows, count).

    Columns are looked at in groups of 16: the smallest entries can only lie in the groups with the smallest
    minima, which spares most of the partitioning that would otherwise take longer than the matrix product.
    """
    rows, columns = matrix.shape
    size = 16
    n_groups = columns // size
    if n_groups <= 2 * count:
        return np.argpartition(matrix, count - 1, axis=1)[:, :count]
    minima = matrix[:, : n_groups * size].reshape(rows, size, n_groups).min(axis=1)
    best = np.argpartition(minima, count - 1, axis=1)[:, :count]
    members = (best[:, None, :] + n_groups * np.arange(size)[:, None]).reshape(rows, size * count)
    rest = np.broadcast_to(np.arange(n_groups * size, columns), (rows, columns - n_groups * size))
    members = np.concatenate((members, rest), axis=1)
    chosen = np.argpartition(np.take_along_axis(matrix, members, axis=1), count - 1, axis=1)[:, :count]
    return np.take_along_axis(members, chosen, axis=1)


def _remove_mean(windows: np.ndarray) -> np.ndarray:
    return windows - windows.mean(axis=-1, keepdims=True)


def _spread(window_scores: np.ndarray, width: int) -> np.ndarray:
    """Return for each point the mean score of the windows that cover it, (N + width - 1,)."""
    edges = np.concatenate(([0.0], np.cumsum(window_scores)))
    points = np.arange(len(window_scores) + width - 1)
    first = np.maximum(points - width + 1, 0)
    behind = np.minimum(points + 1, len(window_scores))
    return (edges[behind] - edges[first]) / (behind - first)


def _blocks(length: int, row_size: int) -> Iterator[slice]:
    """Yield slices of rows that hold a bounded number of cells."""
    size = max(1, _BLOCK_CELLS // max(1, row_size))
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _window_for(series: Any, window: int | None) -> int:
    return _check_window(max(_MIN_WINDOW, find_buffer(series)) if window is None else window)


def _check_window(window: int) -> int:
    if int(window) != window or window < 1:
        raise InputError(f"window must be a whole number of points >= 1, got {window!r}")
    return int(window)


_OURS: dict[str, Any] = {"sees_train": False, "multivariate": True, "framework": "vetime_plugins"}


@built_in("random", random=True, **_OURS)
def _detect_random(job: Job) -> Callable[[], ArrayLike]:
    return lambda: random_scores(job.values, seed=job.seed)


@built_in("moving-variance", **_OURS)
def _detect_moving_variance(job: Job, *, window: int = 25) -> Callable[[], ArrayLike]:
    return lambda: moving_variance(job.values, window=window)


@built_in("sub-pca", **_OURS)
def _detect_sub_pca(job: Job, *, window: int | None = None) -> Callable[[], ArrayLike]:
    return lambda: sub_pca(job.values, window=job.window(window))


@built_in("sub-knn", **_OURS)
def _detect_sub_knn(job: Job, *, window: int | None = None, n_neighbors: int = 5) -> Callable[[], ArrayLike]:
    return lambda: sub_knn(job.values, window=job.window(window), n_neighbors=n_neighbors)
