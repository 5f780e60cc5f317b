"""Anomalies of timing: speed, phase, and cycles that are missing, added or swapped."""

from __future__ import annotations

import numpy as np

from vetime_plugins.synthesis._random import Array, chance
from vetime_plugins.synthesis.anomalies.context import Change, Context, blend


def _read(values: Array, positions: Array) -> Array:
    """Return `values` at fractional positions; outside the series it is mirrored."""
    last = len(values) - 1
    positions = np.abs(positions)
    positions = np.where(positions > last, 2 * last - positions, positions)
    return np.interp(positions, np.arange(len(values)), values)


def _warp(values: Array, start: int, stop: int, positions: Array, ctx: Context) -> Array:
    """Read the signal at other times and keep the noise where it was."""
    return _read(ctx.signal, positions) + values[start:stop] - ctx.signal[start:stop]


def frequency(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the cycles run faster or slower for a while."""
    faster = 1 + ctx.size(0.25, 2.0)
    speed = faster if chance(ctx.rng, 0.6) else 1 / faster
    positions = start + speed * np.arange(stop - start)
    return blend(values[start:stop], _warp(values, start, stop, positions, ctx), ctx.rng, 0.3)


def phase(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Let the cycles come too early or too late for a while."""
    shift = ctx.sign() * ctx.period * min(ctx.size(0.12, 0.5), 0.5)
    positions = np.arange(start, stop) + shift
    return blend(values[start:stop], _warp(values, start, stop, positions, ctx), ctx.rng, 0.3)


def time_warp(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Stretch one part of the span and squeeze the other; the ends stay where they are."""
    n = stop - start
    u = np.arange(n) / n
    bend = ctx.sign() * min(ctx.size(0.25, 1.0), 1.0)
    # The slope of the bend is at most pi, so time would run backwards at a factor of 1 / pi.
    waves = 1 if chance(ctx.rng, 0.6) else 2
    positions = start + n * (u + bend * np.sin(waves * np.pi * u) / (waves * np.pi))
    return _warp(values, start, stop, positions, ctx)


def extra_cycle(values: Array, start: int, stop: int, ctx: Context) -> Array | None:
    """Squeeze one more cycle than usual into the span; the ends stay in phase."""
    n = stop - start
    if n < 0.8 * ctx.period:
        return None
    positions = start + np.arange(n) * (n + ctx.period) / n
    return _warp(values, start, stop, positions, ctx)


def missing_cycle(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Leave a cycle out: the series rests, at its own level of rest, until the next one."""
    signal = ctx.signal[start:stop]
    noise = values[start:stop] - signal
    rest = float(np.median(signal)) if chance(ctx.rng, 0.5) else float(signal[0])
    return blend(values[start:stop], rest + noise, ctx.rng, 0.5)


def swapped_cycle(values: Array, start: int, stop: int, ctx: Context) -> Array | None:
    """Swap the two halves of the span."""
    n = stop - start
    if n < 4:
        return None
    cut = round(n * ctx.rng.uniform(0.3, 0.7))
    return blend(values[start:stop], np.roll(values[start:stop], cut), ctx.rng, 0.4)


def foreign_cycle(values: Array, start: int, stop: int, ctx: Context) -> Array | None:
    """Put a stretch of the same series from another time: right pieces in the wrong order."""
    n = stop - start
    source = int(ctx.rng.integers(0, max(1, len(values) - n)))
    if abs(source - start) < n:
        return None
    part = values[source : source + n]
    return blend(values[start:stop], part - part.mean() + values[start:stop].mean(), ctx.rng, 0.5)


def pause(values: Array, start: int, stop: int, ctx: Context) -> Change | None:
    """Halt the process: it goes on where it stood, late from then on, and that is normal."""
    n = stop - start
    if len(values) - stop < 2 * n:
        return None
    noise = values - ctx.signal
    # Instead of halting it could have run whole cycles: these also end where they began.
    cycles = max(1, round(n / ctx.period))
    running = start + np.arange(n) * cycles * ctx.period / n
    tail = ctx.signal[start : len(values) - n] + noise[stop:]
    return Change(ctx.signal[start] + noise[start:stop], _warp(values, start, stop, running, ctx), tail)


def ectopic(values: Array, start: int, stop: int, ctx: Context) -> Array:
    """Put a broad cycle of another origin too early, and a rest after it."""
    rng, n = ctx.rng, stop - start
    signal = ctx.signal[start:stop]
    around = ctx.signal[max(0, start - int(2 * ctx.period)) : stop + int(2 * ctx.period)]
    rest, height = float(np.median(around)), float(np.quantile(around, 0.99) - np.quantile(around, 0.01))
    early = rng.uniform(0.1, 0.45) * n
    width = min(rng.uniform(0.12, 0.3) * ctx.period, 0.25 * n)
    steps = np.arange(n)
    beat = np.exp(-0.5 * ((steps - early - 1.5 * width) / (0.5 * width)) ** 2)
    back = np.exp(-0.5 * ((steps - early - 3.2 * width) / (0.8 * width)) ** 2)
    beat = ctx.sign() * height * ctx.size(0.5, 1.3) * (beat - rng.uniform(0.1, 0.9) * back)
    turn = np.clip((steps - early) / max(2.0, 0.5 * width), 0.0, 1.0)
    turn *= np.clip((n - steps) / max(2.0, 0.15 * n), 0.0, 1.0)
    return signal + turn * (rest - signal) + beat * turn + values[start:stop] - signal
