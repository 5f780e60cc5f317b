"""Cycles that recur with jitter: the timeline of cycles, and a template drawn along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from vetime_plugins.synthesis._random import Array, chance, log_uniform, pick, smooth_curve
from vetime_plugins.synthesis.normal.shapes import TABLE, draw_shape, vary_shape


@dataclass(frozen=True)
class Timeline:
    """The cycles of a series: for every step its cycle and its phase in it.

    Attributes
    ----------
    cycle : ndarray of shape (T,)
        Number of the cycle, from 0.
    phase : ndarray of shape (T,)
        Phase in [0, 1).
    period : float
        Mean length of a cycle, in steps.
    n_cycles : int
        Cycles in the series, the cut ones at both ends counted.
    """

    cycle: np.ndarray
    phase: Array
    period: float
    n_cycles: int


def slow_noise(rng: np.random.Generator, count: int, memory: float) -> Array:
    """Return an AR(1) sequence (count,) of unit variance with the given coefficient in [0, 1)."""
    start = rng.standard_normal()
    shocks = rng.standard_normal(count) * np.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], shocks, zi=[memory * start])[0]


def draw_timeline(
    rng: np.random.Generator, length: int, period: float, jitter: float, *, elastic: float = 1.0
) -> Timeline:
    """Cut `length` steps into cycles of `period` steps on average, whose lengths vary.

    `jitter` is the relative standard deviation of the cycles' lengths, 0 for a clock; `elastic` the last part
    of the phase, which takes up the change of length. With 1 the cycle is stretched evenly; with 0.3 its
    first 70 % keep their speed and only the rest is lengthened (a heart at another rate).
    """
    count = int(length / period * (1 + 4 * jitter)) + 4
    if jitter > 0:
        spread = slow_noise(rng, count, rng.uniform(0.0, 0.95))
        lengths = period * np.clip(1 + jitter * spread, 0.45, 2.2)
    else:
        lengths = np.full(count, float(period))
    ends = np.cumsum(lengths) - rng.random() * lengths[0]
    while ends[-1] < length:  # only after an unlucky run of short cycles
        ends = np.append(ends, ends[-1] + period)
        lengths = np.append(lengths, period)
    steps = np.arange(length)
    cycle = np.searchsorted(ends, steps, side="right")
    width = lengths[cycle]
    elapsed = steps - (ends[cycle] - width)
    if elastic < 1.0 and jitter > 0:
        rigid = 1 - elastic
        rest = np.maximum(width - rigid * period, 0.05 * period)
        early = np.minimum(elapsed / period, rigid)
        phase = early + elastic * np.clip((elapsed - rigid * period) / rest, 0.0, 1.0)
    else:
        phase = elapsed / width
    return Timeline(cycle, np.clip(phase, 0.0, 1.0 - 1e-9), float(period), int(cycle[-1]) + 1)


def draw_schedule(rng: np.random.Generator, n_cycles: int, n_variants: int) -> np.ndarray:
    """Return which variant of the template each cycle shows, (n_cycles,); every pattern recurs."""
    if n_variants == 1 or n_cycles < 8:
        return np.zeros(n_cycles, dtype=np.int64)
    index = np.arange(n_cycles)
    mode = pick(rng, {"week": 3, "alternate": 1, "rare": 2, "blocks": 2, "random": 1})
    if mode == "week":  # five working days, two others
        return np.where((index + rng.integers(7)) % 7 < 5, 0, 1 + index // 7 % (n_variants - 1))
    if mode == "alternate":
        return index % n_variants
    if mode == "rare":  # a rare variant that recurs is normal
        gap = int(rng.integers(4, max(5, min(40, n_cycles // 3))))
        shift = rng.integers(-1, 2, n_cycles) * (gap > 6)
        return np.where(
            (index + rng.integers(gap) + shift) % gap == 0, 1 + index // gap % (n_variants - 1), 0
        )
    if mode == "blocks":
        size = int(rng.integers(2, max(3, n_cycles // 4)))
        return (index + rng.integers(size)) // size % n_variants
    return rng.integers(n_variants, size=n_cycles)


def draw_cycles(
    rng: np.random.Generator,
    length: int,
    period: float,
    *,
    shape: str | None = None,
    jitter: float | None = None,
    clock: bool = False,
    variety: float = 0.4,
    line: Timeline | None = None,
) -> tuple[Array, Timeline]:
    """Draw one jittered periodic series of unit variance, (length,), and its timeline.

    `shape` is a key of `SHAPES`, `jitter` as for `draw_timeline`; both are random where left out, but a
    `clock` has no jitter (a calendar drives the series). With the probability `variety` cycles come in two or
    three variants. A `line` is followed, as another sensor on the same body does.
    """
    if jitter is None:
        jitter = 0.0 if clock or chance(rng, 0.35) else log_uniform(rng, 0.003, 0.08)
    if line is None:
        elastic = rng.uniform(0.2, 0.6) if chance(rng, 0.4) else 1.0
        line = draw_timeline(rng, length, period, jitter, elastic=elastic)
    base = draw_shape(rng, shape)
    n_variants = int(rng.integers(2, 4)) if chance(rng, variety) else 1
    tables = [base]
    for _ in range(n_variants - 1):
        fresh = chance(rng, 0.3)
        tables.append(draw_shape(rng, shape) if fresh else vary_shape(rng, base, log_uniform(rng, 0.1, 1.0)))
    variant = draw_schedule(rng, line.n_cycles, n_variants)
    phase = line.phase
    if chance(rng, 0.4):  # a smooth change of speed within and across cycles
        wander = smooth_curve(rng, length, int(length / period * rng.uniform(0.3, 2.0)) + 3)
        phase = (phase + log_uniform(rng, 0.002, 0.02) * wander) % 1.0
    position = phase * TABLE
    left = position.astype(np.int64) % TABLE
    part = position - np.floor(position)
    stack = np.concatenate([np.append(table, table[0]) for table in tables])
    offset = variant[line.cycle] * (TABLE + 1) + left
    signal = stack[offset] * (1 - part) + stack[offset + 1] * part
    if chance(rng, 0.7):  # from one cycle to the next another height ...
        spread = log_uniform(rng, 0.003, 0.15)
        height = np.exp(spread * slow_noise(rng, line.n_cycles + 1, rng.uniform(0.0, 0.95)))
        signal = signal * _per_cycle(height, line, smooth=chance(rng, 0.7))
    if chance(rng, 0.4):  # ... and another base line
        base_line = log_uniform(rng, 0.01, 0.3) * slow_noise(rng, line.n_cycles + 1, rng.uniform(0.0, 0.98))
        signal = signal + _per_cycle(base_line, line, smooth=True)
    return signal, line


def _per_cycle(values: Array, line: Timeline, *, smooth: bool) -> Array:
    """Spread one value a cycle (n_cycles + 1,) over the steps; smooth changes over the whole cycle."""
    if not smooth:
        return values[line.cycle]
    return values[line.cycle] * (1 - line.phase) + values[line.cycle + 1] * line.phase
