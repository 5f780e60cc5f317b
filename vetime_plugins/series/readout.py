"""How anomaly margins become scores: per point, or spread over the period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from vetime_plugins.series.scale import calibrate

READOUTS = ("point", "window")
DEFAULT_WINDOW = 25
"""Width in steps of the "window" readout for a series without a period."""


def read_out(
    margins: NDArray[np.float64],
    how: str,
    periods: list[int],
    *,
    scale: str = "logistic",
    usual: tuple[NDArray[np.float64], list[int]] | None = None,
) -> NDArray[np.float64]:
    """Turn margins (T,) or (T, C), anomaly logit minus normal logit, into scores in [0, 1] of that shape.

    "point" is the logistic of the margin; -inf means certainly normal. "window" averages it with a centred
    Hann window as wide as the period, one per column where 1 means none: an anomaly of a cycle is then one
    hill instead of several peaks.

    The scale "logistic" leaves it at that. "tail" says in the same order how rarely a calm series gets there,
    each column for itself; `usual`, margins and periods of a reference, tells what is calm.
    """
    if scale == "logistic":
        return _smooth(margins, how, periods)
    values = _evidence(margins, how, periods)
    known = None if usual is None else _evidence(usual[0], how, usual[1])
    if values.ndim == 1:
        return calibrate(values, known)
    others = [None] * values.shape[1] if known is None else known.T
    return np.stack([calibrate(own, other) for own, other in zip(values.T, others, strict=True)], axis=1)


def _evidence(margins: NDArray[np.float64], how: str, periods: list[int]) -> NDArray[np.float64]:
    """Return what is read out, in log-odds: margins themselves keep digits that their logistic has lost."""
    if how == "point":
        return margins
    with np.errstate(divide="ignore"):
        scores = _smooth(margins, how, periods)
        return np.log(scores) - np.log1p(-scores)


def _smooth(margins: NDArray[np.float64], how: str, periods: list[int]) -> NDArray[np.float64]:
    scores = _logistic(margins)
    if how == "point":
        return scores
    columns = scores[:, None] if scores.ndim == 1 else scores
    smooth = np.stack([_hann_average(columns[:, c], periods[c]) for c in range(columns.shape[1])], axis=1)
    return smooth.reshape(scores.shape)


def _logistic(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    # Two branches, so that neither overflows and small probabilities keep their digits.
    positive = margins >= 0
    power = np.exp(np.where(positive, -margins, margins))
    return np.where(positive, 1.0 / (1.0 + power), power / (1.0 + power))


def _hann_average(scores: NDArray[np.float64], period: int) -> NDArray[np.float64]:
    width = (DEFAULT_WINDOW if period <= 1 else period) | 1
    window = np.hanning(width + 2)[1:-1]
    mass = convolve1d(np.ones_like(scores), window, mode="constant")
    return np.clip(convolve1d(scores, window, mode="constant") / mass, 0.0, 1.0)
