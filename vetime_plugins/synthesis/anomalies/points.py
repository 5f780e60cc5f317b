"""Anomalies of single points and short stretches."""

from __future__ import annotations

import numpy as np

from vetime_plugins.synthesis._random import Array, chance
from vetime_plugins.synthesis.anomalies.context import Context, window_shape


def spike(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Put one or few points far outside everything the series has shown."""
    span = max(ctx.high - ctx.low, 3 * ctx.noise, ctx.scale)
    reach = ctx.size(0.08, 6.0) * span
    edge = ctx.high + reach if chance(ctx.rng, 0.65) else ctx.low - reach
    weight = np.ones(stop - start)
    weight[1:] = ctx.rng.uniform(0.4, 1.0, stop - start - 1)
    return values[start:stop] + weight * (edge - values[start:stop])


def local_spike(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Put one or few points off their neighbours, mostly within the range of the series."""
    unit = max(1.3 * ctx.spike, 4 * ctx.noise, 0.05 * ctx.scale)
    sign = ctx.sign()
    if values[start] + sign * unit > ctx.high or values[start] + sign * unit < ctx.low:
        sign = -sign  # towards the room that there is
    return values[start:stop] + sign * ctx.size(1.0, 6.0) * unit * ctx.rng.uniform(0.6, 1.0, stop - start)


def dip(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the values drop for a short time."""
    depth = ctx.size(0.8, 7.0) * max(ctx.scale, 2 * ctx.noise)
    return values[start:stop] - depth * window_shape(stop - start, ctx.rng)


def burst(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the values rise for a short time."""
    height = ctx.size(0.8, 12.0) * max(ctx.scale, 2 * ctx.noise)
    return values[start:stop] + height * window_shape(stop - start, ctx.rng)


def spike_group(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Put several spikes close together, with normal points between them."""
    n = stop - start
    hits = ctx.rng.random(n) < ctx.rng.uniform(0.15, 0.5)
    hits[[0, -1]] = True
    signs = ctx.sign() if chance(ctx.rng, 0.7) else np.where(ctx.rng.random(n) < 0.5, 1.0, -1.0)
    unit = max(1.3 * ctx.spike, 4 * ctx.noise, 0.3 * ctx.scale)
    return values[start:stop] + hits * signs * ctx.size(0.8, 9.0) * unit * ctx.rng.uniform(0.5, 1.3, n)


def zero(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the reading fall to zero, or to the least value that was ever seen."""
    span = ctx.high - ctx.low
    target = 0.0 if -0.5 * span < ctx.low and ctx.low - span < 0.0 else ctx.low
    if chance(ctx.rng, 0.2):
        target = ctx.low
    return np.full(stop - start, target)


def contextual(values: Array, start: int, stop: int, ctx: Context) -> Array | None:
    """Show normal values at the wrong phase: what the series does half a cycle away or so."""
    n = stop - start
    shift = ctx.sign() * ctx.period * ctx.rng.uniform(0.2, 0.8)
    if ctx.period <= 0.1 * len(values):
        shift += ctx.period * int(ctx.rng.integers(-2, 3))
    source = start + round(shift)
    if not 0 <= source <= len(values) - n:
        source = start - round(shift)
    if not 0 <= source <= len(values) - n or abs(source - start) < 1:
        return None
    return values[source : source + n].copy()


def noise(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Add noise."""
    level = max(ctx.size(2.0, 8.0) * ctx.noise, ctx.size(0.15, 1.2) * ctx.scale)
    n = stop - start
    grain = ctx.rng.standard_normal(n) if chance(ctx.rng, 0.7) else ctx.rng.uniform(-1.7, 1.7, n)
    if chance(ctx.rng, 0.3) and n > 8:
        grain = np.convolve(grain, [0.3, 0.5, 0.3], mode="same") * 1.5
    return values[start:stop] + level * grain * (window_shape(n, ctx.rng) if chance(ctx.rng, 0.3) else 1.0)
