"""Anomalies of the level: shifts, drifts, stuck, clipped and changed variance."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from vetime_plugins.synthesis._random import Array, chance, log_uniform
from vetime_plugins.synthesis.anomalies.context import Change, Context, blend


def _step(ctx: Context, least: float, most: float) -> float:
    """Return a signed change of level."""
    return ctx.sign() * max(ctx.size(least, most) * ctx.scale, ctx.size(2.0, 6.0) * ctx.noise)


def level_shift(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Move the level for a while, by a small offset or a gross one."""
    old = values[start:stop]
    return blend(old, old + _step(ctx, 0.4, 6.0), ctx.rng, 0.3)


def drift(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the level creep away and come back at once, or creep back."""
    u = np.arange(1, stop - start + 1) / (stop - start)
    path = u ** log_uniform(ctx.rng, 0.6, 2.5)
    if chance(ctx.rng, 0.35):
        path = 1 - np.abs(2 * u - 1)
    return values[start:stop] + _step(ctx, 0.8, 5.0) * path


def recovery(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the level jump and decay slowly back to normal: a reset, a restart, a thermal shock."""
    u = np.arange(stop - start) / (stop - start)
    path = np.exp(-u * ctx.rng.uniform(2.5, 6.0))
    if chance(ctx.rng, 0.3):  # with undershoot
        path = path * np.cos(2 * np.pi * u * ctx.rng.uniform(0.5, 3.0))
    return values[start:stop] + _step(ctx, 1.0, 6.0) * path


def change_point(values: Array, start: int, stop: int, ctx: Context) -> Change:
    """Change the level for good: the transition is the anomaly, the new level is normal."""
    n = stop - start
    step = _step(ctx, 1.0, 5.0)
    ramp = step * np.arange(1, n + 1) / (n + 1)
    path = step * np.ones(n)
    if chance(ctx.rng, 0.5):
        path = path * (1 + ctx.sign() * ctx.rng.uniform(0.3, 1.0) * np.exp(-6 * np.arange(n) / n))
    return Change(values[start:stop] + path, values[start:stop] + ramp, values[stop:] + step)


def stuck(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Hold the reading at its last value, or at another one of the series."""
    level = values[start]
    if chance(ctx.rng, 0.25):
        level = values[int(ctx.rng.integers(len(values)))]
    if chance(ctx.rng, 0.2):
        return level + 0.3 * ctx.noise * ctx.rng.standard_normal(stop - start)
    return np.full(stop - start, level)


def clipping(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Cut peaks or troughs off at a limit."""
    old = values[start:stop]
    cut = 0.08 + 0.6 * ctx.severity  # share of the points that reach the limit
    side = int(ctx.rng.integers(3))
    floor = float(np.quantile(old, 0.6 * cut if side == 2 else cut)) if side != 0 else -np.inf
    ceiling = float(np.quantile(old, 1 - (0.6 * cut if side == 2 else cut))) if side != 1 else np.inf
    return np.clip(old, floor, max(floor, ceiling))


def variance(values: Array, start: int, stop: int, ctx: Context) -> Array | None:
    """Let the noise around the signal grow or shrink."""
    window = max(3, min(int(ctx.period / 8), 31))
    span = slice(max(0, start - window), min(len(values), stop + window))
    known = not np.array_equal(ctx.signal, values)
    base = ctx.signal[span] if known else uniform_filter1d(values[span], window, mode="nearest")
    rest = (values[span] - base)[start - span.start : stop - span.start]
    if not rest.any():
        return None
    factor = ctx.size(2.5, 8.0) if chance(ctx.rng, 0.65) else 0.6 * (1 - ctx.severity)
    return values[start:stop] + (factor - 1) * rest


def coarse(values: Array, start: int, stop: int, ctx: Context) -> Array | None:
    """Make the readings coarse: renewed only now and then, or rounded to wide steps."""
    old = values[start:stop]
    if chance(ctx.rng, 0.5):
        hold = max(2, round(min(ctx.size(0.06, 0.5) * ctx.period, len(old) / 2)))
        return old[np.arange(len(old)) // hold * hold]
    step = ctx.size(0.5, 2.5) * ctx.scale
    return ctx.low + step * np.round((old - ctx.low) / step)
