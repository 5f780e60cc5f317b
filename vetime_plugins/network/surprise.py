"""How far a series lies from what the network expected of it: evidence of anomalies without retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from vetime_plugins.network.expectation import ExpectationNetwork, conceal
from vetime_plugins.network.phases import Windows, decompress, make_windows

Array = NDArray[np.float64]

BLOCKS = (1, 4, 16)
"""Patches that are concealed in one piece: a short anomaly is told from its neighbours, a long one needs more
of itself concealed."""
EVERY = 4
"""One block in so many is concealed at once, so this many passes conceal every step."""
SHARP = 25
"""Steps over which the residual is averaged where the period does not say so."""
_WIDEST = 200
_EPSILON = 1e-9


@dataclass(frozen=True)
class Expected:
    """Expectation of a series, with blocks of one length concealed.

    Attributes
    ----------
    values : float64 ndarray of shape (T,)
        What was expected.
    scale : float64 ndarray of shape (T,)
        Mean distance from it that was to be expected.
    """

    values: Array
    scale: Array


def expect(
    network: ExpectationNetwork,
    series: Array,
    period: int,
    *,
    blocks: Sequence[int] = BLOCKS,
    batch_size: int = 16,
    bfloat16: bool = False,
) -> list[Expected]:
    """Say of every step what the rest of the series lets one expect there.

    Parameters
    ----------
    network : ExpectationNetwork
    series : float64 ndarray of shape (T,)
        Finite; a step of it takes no part in its own expectation but for the unit of its window, which is
        made of quantiles.
    period : int
        In steps, 1 for none.
    blocks : sequence of int
        Lengths of the concealed blocks, in patches.
    batch_size : int
        Windows in one pass: bounds memory.
    bfloat16 : bool
        Arithmetic of the network: faster, and results differ in the third digit.

    Returns
    -------
    list of Expected
        One for each of `blocks`, in the unit of the series.
    """
    mean, deviation = float(series.mean()), float(series.std()) + _EPSILON
    standard = torch.from_numpy((series - mean) / deviation).float()
    windows, starts = _cut(network, standard, period)
    p, length = network.config.patch_size, network.config.window
    n_patches = -(-len(series) // p)
    # Each patch is read in the window whose middle is nearest.
    middles = starts + length // 2
    owner = (torch.arange(n_patches)[:, None] * p + p // 2 - middles).abs().argmin(dim=1)
    inside = torch.arange(n_patches) - starts[owner] // p

    def on_timeline(found: Tensor) -> Array:
        picked = found.view(len(found), -1, p)[owner, inside].flatten()[: len(series)]
        return picked.double().numpy()

    results = []
    for block in blocks:
        expected, scale = torch.zeros_like(windows.values), torch.ones_like(windows.values)
        for number in range(EVERY):
            # The pattern is that of the series, not of the window.
            concealed = conceal(length // p, block, EVERY, starts // p + number * block)
            for first in range(0, len(windows), batch_size):
                rows = slice(first, first + batch_size)
                with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                    found = network(windows[rows], concealed[rows])
                steps = concealed[rows].repeat_interleave(p, dim=1)
                expected[rows][steps], scale[rows][steps] = found[0][steps], found[1][steps]
        values = decompress(expected) * windows.scale + windows.centre
        widths = scale * windows.scale
        results.append(Expected(on_timeline(values) * deviation + mean, on_timeline(widths) * deviation))
    return results


def surprise(series: Array, expected: Sequence[Expected], period: int, *, scaled: bool = False) -> Array:
    """Return how far a series lies from its expectation, as ``asinh(z)``: 0 is usual, 2 and more is rare.

    The distance is averaged over `SHARP` steps and over the period (at most 200 steps), z-scored over the
    series, and averaged over both and all `expected`.

    Parameters
    ----------
    series : float64 ndarray of shape (T,)
    expected : sequence of Expected
    period : int
        In steps, 1 for none.
    scaled : bool
        Whether a distance counts against the scale that was expected there.

    Returns
    -------
    float64 ndarray of shape (T,)
    """
    widths = (SHARP, int(np.clip(period, SHARP, _WIDEST)))
    distances = [_distance(series, one, scaled=scaled) for one in expected]
    parts = [windowed(distance, width) for distance in distances for width in widths]
    return np.mean([np.arcsinh(standard(part)) for part in parts], axis=0)


def point_surprise(series: Array, expected: Expected) -> Array:
    """Return the distance of each step over the scale that was expected there and its mean, as ``asinh(z)``.

    Parameters
    ----------
    series : float64 ndarray of shape (T,)
    expected : Expected

    Returns
    -------
    float64 ndarray of shape (T,)
    """
    return np.arcsinh(standard(_distance(series, expected, scaled=True)))


def _distance(series: Array, expected: Expected, *, scaled: bool) -> Array:
    distance = np.abs(series - expected.values)
    # A scale learned on other series is believed only up to what this series confirms on the whole.
    usual = expected.scale + distance.mean() + 1e-3 * series.std() + _EPSILON
    return np.asarray(distance / usual if scaled else distance)


def windowed(values: Array, width: int) -> Array:
    """Centred moving average over `width` steps."""
    return np.asarray(uniform_filter1d(values, width, mode="nearest")) if width > 1 else values


def standard(values: Array) -> Array:
    """Z-score over the series; zeros for a constant."""
    return (values - values.mean()) / (values.std() + _EPSILON)


def _cut(network: ExpectationNetwork, standard: Tensor, period: int) -> tuple[Windows, Tensor]:
    """Cut overlapping windows that start at whole patches, the last one at the end; return their starts."""
    p, length = network.config.patch_size, network.config.window
    last = -(-len(standard) // p) * p - length
    step = max(p, length * 3 // 4 // p * p)
    starts = torch.tensor([*range(0, last, step), last] if last > 0 else [0])
    size = len(starts)
    bounds = torch.zeros(size, dtype=torch.long), torch.full((size,), len(standard))
    spread = standard.std(correction=0).expand(size)
    return make_windows(standard, starts, bounds, torch.full((size,), period), spread, length), starts
