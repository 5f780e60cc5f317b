"""Anomalies of shape: the cycle is there, but it looks different."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from vetime_plugins.synthesis._random import Array, chance, log_uniform, smooth_curve, standardise
from vetime_plugins.synthesis.anomalies.context import Context, blend
from vetime_plugins.synthesis.normal.shapes import draw_shape, read_table


def _signal(values: Array, start: int, stop: int, ctx: Context) -> tuple[Array, Array]:
    """Return the signal and the noise in the span; the noise is kept whatever happens to the signal."""
    signal = ctx.signal[start:stop]
    return signal, values[start:stop] - signal


def amplitude(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Make the swing around the local level larger or smaller."""
    signal, noise = _signal(values, start, stop, ctx)
    factor = 1 + ctx.size(0.25, 2.0) if chance(ctx.rng, 0.5) else 1 - min(ctx.size(0.25, 0.95), 1.0)
    mode = int(ctx.rng.integers(3))
    pivot = (signal.mean(), signal.min(), np.median(signal))[mode]
    return blend(values[start:stop], pivot + factor * (signal - pivot) + noise, ctx.rng)


def flip(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Turn the series upside down around its local level."""
    signal, noise = _signal(values, start, stop, ctx)
    pivot = signal.mean() if chance(ctx.rng, 0.5) else 0.5 * (signal[0] + signal[-1])
    return blend(values[start:stop], 2 * pivot - signal + noise, ctx.rng, 0.3)


def reversal(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Run the series backwards in time."""
    return blend(values[start:stop], values[start:stop][::-1].copy(), ctx.rng, 0.3)


def smoothing(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Average details and noise away."""
    width = max(1.0, ctx.period * (0.02 + 0.2 * ctx.severity))
    margin = int(4 * width) + 1
    left, right = max(0, start - margin), min(len(values), stop + margin)
    return gaussian_filter1d(values[left:right], width, mode="nearest")[start - left : stop - left]


def wrong_shape(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Put cycles of another shape, of the same height and level."""
    signal, noise = _signal(values, start, stop, ctx)
    cycles = max(1.0, round((stop - start) / ctx.period))
    phase = np.linspace(0.0, cycles, stop - start, endpoint=False) + ctx.rng.random()
    foreign = standardise(read_table(draw_shape(ctx.rng), phase))
    spread = max(float(signal.std()), 0.5 * ctx.scale)
    mix = 0.3 + 0.7 * ctx.severity
    new = signal + mix * (signal.mean() + spread * foreign - signal)
    return blend(values[start:stop], new + noise, ctx.rng, 0.7)


def distortion(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Add a smooth random bend to the cycle: a beat of another origin."""
    n = stop - start
    knots = max(4, int(n / ctx.period * ctx.rng.uniform(4, 14)) + 3)
    bend = standardise(smooth_curve(ctx.rng, n, knots)) * np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 0.5
    return values[start:stop] + max(ctx.size(0.3, 2.5) * ctx.scale, 2 * ctx.noise) * bend


def partial_loss(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Leave a part of the cycle out: a line with the usual noise where a wave should be."""
    signal, noise = _signal(values, start, stop, ctx)
    line = np.linspace(signal[0], signal[-1], stop - start)
    return signal + (0.5 + 0.5 * ctx.severity) * (line - signal) + noise


def ripple(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Add a foreign oscillation: hum, hunting, resonance."""
    n = stop - start
    wave = max(2.5, min(ctx.period * log_uniform(ctx.rng, 0.05, 0.6), n / 2))
    tone = np.sin(2 * np.pi * (np.arange(n) / wave + ctx.rng.random()))
    size = max(ctx.size(0.2, 1.5) * ctx.scale, ctx.size(1.5, 4.0) * ctx.noise)
    return blend(values[start:stop], values[start:stop] + size * tone, ctx.rng, 0.6)
