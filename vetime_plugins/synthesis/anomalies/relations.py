"""Anomalies between variables: each variable may look normal by itself."""

from __future__ import annotations

import numpy as np

from vetime_plugins.synthesis._random import Array, chance
from vetime_plugins.synthesis.anomalies.context import Context, blend


def broken_correlation(values: Array, start: int, stop: int, ctx: Context) -> Array | None:
    """Let the variable replay another time of its own, while the others go on."""
    n = stop - start
    source = int(ctx.rng.integers(0, max(1, len(values) - n)))
    if abs(source - start) < n:
        return None
    part = values[source : source + n]
    if chance(ctx.rng, 0.7):  # without a jump at the start
        part = part - part[0] + values[start]
    return blend(values[start:stop], part, ctx.rng, 0.7)


def lag_change(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the variable follow the others earlier or later than usual."""
    n = stop - start
    lag = max(1, round(min(ctx.size(0.1, 0.6) * ctx.period, 0.6 * n)))
    index = np.clip(np.arange(start, stop) + round(ctx.sign() * lag), 0, len(values) - 1)
    return blend(values[start:stop], values[index], ctx.rng, 0.7)


def one_variable(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Move the variable within its own range while those that usually go with it stay."""
    n = stop - start
    room_up, room_down = ctx.high - values[start:stop].max(), values[start:stop].min() - ctx.low
    sign = 1.0 if room_up > room_down else -1.0
    size = min(ctx.size(0.8, 3.0) * ctx.scale, max(room_up, room_down, 0.8 * ctx.scale))
    return values[start:stop] + sign * size * np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 0.7
