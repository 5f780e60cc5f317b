"""How large is large: noise, local scale and novelty of a series, all by array operations."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from vetime_plugins.synthesis._random import Array


def fill_gaps(values: Array) -> Array:
    """Return `values` (T,) with NaN interpolated linearly (held at the ends); all-NaN becomes zeros."""
    gone = np.isnan(values)
    if not gone.any():
        return values
    if gone.all():
        return np.zeros_like(values)
    steps = np.arange(len(values))
    return np.interp(steps, steps[~gone], values[~gone])


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

    Where the series is locally quieter than a fifth of its overall standard deviation, that fifth is returned;
    a constant series has the scale of its magnitude, or 1 if it is zero.
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


def novelty(values: Array, segment: Array, start: int, *, margin: int, reach: int = 4096) -> tuple[float, float]:
    """Compare a changed window with everything else in the clean series.

    Parameters
    ----------
    values : ndarray of shape (T,)
        The clean series, without NaN.
    segment : ndarray of shape (n,)
        What replaces ``values[start:start + n]``.
    start : int
    margin : int
        Unchanged steps on both sides that belong to the window.
    reach : int, default 4096
        Only windows in a part of about this many steps around the segment are compared, which keeps the cost
        independent of the series' length.

    Returns
    -------
    changed, unchanged : float
        Root mean square distance from the changed, and from the clean window, to its nearest neighbour that
        does not overlap it; the smaller of the plain and the mean-removed distance cannot be known in advance,
        so the pair with the larger ratio is returned. Infinite and 0 where the series has no other window.
    """
    stop = start + len(segment)
    low, high = max(0, start - margin), min(len(values), stop + margin)
    width = high - low
    span = min(len(values), max(reach, 3 * width))
    left = int(np.clip(low - (span - width) // 2, 0, len(values) - span))
    part = values[left : left + span]
    part = part - part.mean()
    n_windows = len(part) - width + 1
    begin = low - left
    index = np.arange(n_windows)
    free = np.abs(index - begin) >= max(1, width // 2)
    if not free.any():
        return np.inf, 0.0
    clean = part[begin : begin + width]
    changed = clean.copy()
    changed[start - low : stop - low] = segment - values[start:stop] + clean[start - low : stop - low]
    size = next_fast_len(len(part), real=True)
    spectrum = rfft(part, size)
    queries = rfft(np.stack([changed[::-1], clean[::-1]]), size)
    product = irfft(spectrum * queries, size)[:, width - 1 : width - 1 + n_windows]
    total = np.concatenate([[0.0], np.cumsum(part)])
    power = np.concatenate([[0.0], np.cumsum(part * part)])
    sums = (total[width:] - total[:-width])[free]
    squares = (power[width:] - power[:-width])[free]
    best = (1.0, 1.0)
    ratio = -1.0
    floor = 1e-9 * max(float(power[-1]) / len(part), 1e-300)
    result = []
    for window, cross in zip((changed, clean), product[:, free], strict=True):
        plain = squares - 2 * cross + window @ window
        centred = plain - (sums - window.sum()) ** 2 / width
        result.append((max(float(plain.min()), 0.0) / width, max(float(centred.min()), 0.0) / width))
    for new, old in zip(result[0], result[1], strict=True):
        quotient = new / (old + floor)
        if quotient > ratio:
            ratio, best = quotient, (float(np.sqrt(new)), float(np.sqrt(old)))
    return best
