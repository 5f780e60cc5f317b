"""How large is large: noise, local scale and novelty of a series, all by array operations."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from vetime_plugins.synthesis._random import Array


def noise_level(values: Array) -> float:
    """Return a robust standard deviation of the roughness of `values` (T,).

    The median absolute second difference, scaled so that white noise gives its standard deviation; smooth
    signals and rare jumps hardly count.
    """
    if len(values) < 3:
        return 0.0
    return float(np.median(np.abs(np.diff(values, 2)))) / (0.6745 * np.sqrt(6.0))


def local_scale(values: Array, window: int) -> Array:
    """Return the local standard deviation (T,) of `values` (T,) in a centred window of `window` steps.

    Where the series is locally quieter than a fifth of its overall standard deviation, that fifth is
    returned; a constant series has the scale of its magnitude, or 1 if it is zero.
    """
    overall = float(values.std())
    if overall <= 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0))):
        return np.full(len(values), max(float(np.abs(values).max(initial=0.0)), 1.0))
    centred = values - values.mean()
    size = max(3, min(int(window), len(values)))
    mean = uniform_filter1d(centred, size, mode="nearest")
    power = uniform_filter1d(centred * centred, size, mode="nearest")
    return np.maximum(np.sqrt(np.maximum(power - mean * mean, 0.0)), 0.2 * overall)


def jumpiness(values: Array) -> float:
    """Return how far a normal point may stand off the mean of its two neighbours: the 99.8 % quantile."""
    if len(values) < 3:
        return 0.0
    return float(np.quantile(np.abs(0.5 * np.diff(values, 2)), 0.998))


def novelty(
    rng: np.random.Generator, values: Array, segment: Array, start: int, *, margin: int, reach: int = 4096
) -> float:
    """Return how much farther from its nearest neighbour a changed window is than normal windows are.

    The window is `segment` (n,), which replaces ``values[start:start + n]`` of the clean series (T,), and
    `margin` unchanged steps on both sides. Neighbours are sought in about `reach` steps around it, so that
    the cost does not grow with the series.

    The distance from the changed window to its nearest neighbour elsewhere is taken over the larger of 1.2
    times that of the unchanged window and the largest of those of eight other, random windows. Of two
    distances, Euclidean and Euclidean with the means removed, the one with the larger ratio counts. Above 1
    the change stands out; infinite where the series is too short to hold another window.
    """
    stop = start + len(segment)
    low, high = max(0, start - margin), min(len(values), stop + margin)
    width = high - low
    span = min(len(values), max(reach, 3 * width))
    left = int(np.clip(low - (span - width) // 2, 0, len(values) - span))
    part = values[left : left + span]
    part = part - part.mean()
    n_windows = span - width + 1
    begin = low - left
    index = np.arange(n_windows)
    near = max(1, width // 2)
    if begin < near and begin + near >= n_windows:
        return np.inf
    begins = np.concatenate([[begin, begin], rng.integers(n_windows, size=8)])
    queries = part[begins[:, None] + np.arange(width)]
    queries[0, start - low : stop - low] += segment - values[start:stop]
    size = next_fast_len(span, real=True)
    product = irfft(rfft(part, size) * rfft(queries[:, ::-1], size), size)[:, width - 1 : span]
    total = np.concatenate([[0.0], np.cumsum(part)])
    power = np.concatenate([[0.0], np.cumsum(part * part)])
    plain = (power[width:] - power[:-width]) - 2 * product + (queries**2).sum(axis=1)[:, None]
    offset = (total[width:] - total[:-width]) - queries.sum(axis=1)[:, None]
    own = np.abs(index - begins[:, None]) < near
    floor = 1e-12 * float(power[-1]) + 1e-300
    best = 0.0
    for square in (plain, plain - offset**2 / width):
        nearest = np.sqrt(np.maximum(np.where(own, np.inf, square).min(axis=1), 0.0))
        usual = nearest[2:][np.isfinite(nearest[2:])]
        limit = max(1.2 * float(nearest[1]), float(usual.max(initial=0.0)))
        best = max(best, float(nearest[0]) / (limit + np.sqrt(floor)))
    return best
