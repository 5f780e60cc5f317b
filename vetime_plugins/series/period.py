"""The period of a series: one autocorrelation, and the rules by which a peak of it is taken for the period.

Each rule has a purpose and keeps to the work that it is taken from, so that they differ in the lags that they
look at, in how high a peak must be, and in what they say where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft as scipy_fft

from vetime_plugins.series.gaps import fill_gaps
from vetime_plugins.series.inputs import as_columns

DEFAULT_BUFFER = 125
"""Buffer, in points, of a series without a clear period, and where no series is given."""

_BUFFERS = 6, 303
_SHORTEST_WINDOW = 10
_CONSTANT = 1e-12


def autocorrelation(values: NDArray[np.floating], max_lag: int) -> NDArray[np.float64]:
    """Return the biased sample autocorrelation of (n,) or (n, C) at the lags 0..min(max_lag, n - 1), by FFT.

    The autocovariances of several variables are averaged. A constant has no autocorrelation; it gets zeros
    at all lags but 0.
    """
    columns = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    centred = columns - columns.mean(axis=0)
    n = len(centred)
    size = scipy_fft.next_fast_len(2 * n - 1, real=True)
    spectrum = scipy_fft.rfft(centred, size, axis=0)
    power = (spectrum * np.conj(spectrum)).mean(axis=1)
    covariance: NDArray[np.float64] = scipy_fft.irfft(power, size)[: min(max_lag + 1, n)]
    if covariance[0] <= 0:
        return np.concatenate([[1.0], np.zeros(len(covariance) - 1)])
    return covariance / covariance[0]


@dataclass(frozen=True)
class PeriodRule:
    """Which local maximum of the autocorrelation is the period: the highest one that is allowed.

    Attributes
    ----------
    shortest : int
        The shortest lag that may be a peak.
    lags : callable
        From a number of points to the longest lag that is looked at. It is no peak itself, since one needs a
        neighbour on both sides.
    least : float
        How high the peak must be.
    max_points : int or None
        The search uses at most this many leading points.
    flat : bool
        Whether the lag after a peak may be as high as the peak.
    """

    shortest: int
    lags: Callable[[int], int]
    least: float = -np.inf
    max_points: int | None = 20_000
    flat: bool = False

    def find(self, values: NDArray[np.floating]) -> int | None:
        """Return the period of (n,) or (n, C) in steps, or None; all variables have that of their mean."""
        values = values[: self.max_points]
        last = min(self.lags(len(values)), len(values) - 1)
        if last <= self.shortest:
            return None
        acf = autocorrelation(values, last)[self.shortest - 1 :]
        inner, after = acf[1:-1], acf[2:]
        rises = inner > acf[:-2]
        peaks = np.flatnonzero(rises & (inner >= after if self.flat else inner > after))
        if not len(peaks):
            return None
        best = peaks[np.argmax(inner[peaks])]
        return int(best) + self.shortest if inner[best] >= self.least else None


FOLD = PeriodRule(2, lambda n: int(0.2 * n), least=0.5)
"""Where a series is folded into an image: the authors' rule (Section 3.2 of the paper)."""
WINDOW = PeriodRule(4, lambda n: 400)
"""The rule of the TSB-AD benchmark, which windows are as long as and metrics as tolerant as."""
CYCLE = PeriodRule(2, lambda n: n // 4 - 1, least=0.4, max_points=None, flat=True)
"""Whether a series repeats itself, so that an anomaly can be put into the timing or shape of a cycle."""


def find_period(values: NDArray[np.floating]) -> int:
    """Return the period of one finite variable (n,) by the rule `FOLD`, or 1 if it has none."""
    return FOLD.find(values) or 1


def series_period(z: NDArray[np.float64]) -> int:
    """Return one period for all variables of a (T, C) array: the longest of theirs, 1 if none has one."""
    return max(find_period(column) for column in z.T)


def find_window(values: NDArray[np.floating]) -> int:
    """Return the length of windows that hold about a cycle, by the rule `WINDOW`: 10 or more, 125 for none.

    The variables of (n, C), of equal scale, have a say in proportion to their variance.
    """
    period = WINDOW.find(values)
    return DEFAULT_BUFFER if period is None else max(_SHORTEST_WINDOW, period)


def find_cycle(values: NDArray[np.floating]) -> float | None:
    """Return the length in steps of a cycle that all variables of (n, C) share, by the rule `CYCLE`.

    It is None where no cycle explains 40 % of the variance. Any unit will do; constants have no say.
    """
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    varies = spread > _CONSTANT * (1 + np.abs(values).max(axis=0))
    if not varies.any():
        return None
    period = CYCLE.find(centred[:, varies] / spread[varies])
    return None if period is None else float(period)


def find_buffer(series: Any) -> int:
    """Return the buffer, in points, with which a series is evaluated on the TSB-AD leaderboard.

    Parameters
    ----------
    series : array-like of shape (T,) or (T, C)
        Of several variables the first one counts. NaN is filled by interpolation.

    Returns
    -------
    int
        The lag of the highest local maximum of the autocorrelation, or 125 where there is none or it lies
        outside the accepted range.

    Raises
    ------
    InputError
        If the series is empty or not numeric.

    Notes
    -----
    Autocorrelation of the first 20,000 points at the lags 3 to 400. The benchmark's code counts the peak from
    lag 3, so that its bounds "3 to 300" are the lags 6 to 303; the same is done here.

    Examples
    --------
    >>> import numpy as np
    >>> find_buffer(np.sin(2 * np.pi * np.arange(1000) / 50))
    50
    >>> find_buffer(np.ones(1000))
    125
    """
    values = fill_gaps(as_columns(series, infinite_is_gap=True)[: WINDOW.max_points, :1])
    scale = np.abs(values).max()
    if scale > 0:
        values = values / scale  # huge values would overflow when squared
    if np.abs(values - values.mean()).max() <= _CONSTANT:  # rounding correlates by accident
        return DEFAULT_BUFFER
    period = WINDOW.find(values)
    low, high = _BUFFERS
    return period if period is not None and low <= period <= high else DEFAULT_BUFFER
