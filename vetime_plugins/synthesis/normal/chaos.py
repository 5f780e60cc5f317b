"""Deterministic chaos: aperiodic, yet with rules that a detector can learn from the series itself.

The delay equation of Mackey and Glass is linear in its present value once the past delay is known, so it is
integrated in blocks of one delay with a linear filter. The three-dimensional flows have no such form; one
long orbit of each is integrated once in a process, with a fixed start, and windows are cut from it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.signal import lfilter

from vetime_plugins.synthesis._random import Array, log_uniform, pick, resample, standardise

_ORBIT = 24_576
Field = Callable[[float, float, float], tuple[float, float, float]]


def mackey_glass(rng: np.random.Generator, length: int) -> Array:
    """Return a Mackey-Glass series (length,): x' = 0.2 x(t - d) / (1 + x(t - d)**10) - 0.1 x, d = 17 to 30.

    Integrated by the exponential Euler scheme, block by block of one delay.
    """
    per_unit = int(rng.integers(1, 5))  # steps in one unit of time
    delay = int(rng.uniform(17, 30) * per_unit)
    decay = np.exp(-0.1 / per_unit)
    gain = 0.2 * (1 - decay) / 0.1
    total = length + 12 * delay
    orbit = np.empty(total + delay)
    orbit[:delay] = 0.9 + 0.3 * rng.random() + 0.05 * rng.standard_normal(delay)
    for start in range(delay, total, delay):
        past = orbit[start - delay : start]
        force = gain * past / (1 + past**10)
        orbit[start : start + delay] = lfilter([1.0], [1.0, -decay], force, zi=[decay * orbit[start - 1]])[0]
    return orbit[12 * delay : 12 * delay + length].copy()


@lru_cache(maxsize=4)
def _orbit(name: str) -> Array:
    """Return one long orbit (3, _ORBIT) of a flow, integrated with the midpoint rule in plain floats."""
    fields: dict[str, tuple[Field, float, tuple[float, float, float]]] = {
        "lorenz": (
            lambda x, y, z: (10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z),
            0.01,
            (1.0, 1.2, 20.0),
        ),
        "roessler": (lambda x, y, z: (-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)), 0.04, (1.0, 1.0, 0.5)),
        "chua": (
            lambda x, y, z: (
                9.0 * (y - x - (-5 / 7 * x - 3 / 14 * (abs(x + 1) - abs(x - 1)))),
                x - y + z,
                -100 / 7 * y,
            ),
            0.02,
            (0.3, 0.1, -0.2),
        ),
    }
    field, dt, (x, y, z) = fields[name]
    warm_up = 2_000
    points = []
    for _ in range(_ORBIT + warm_up):
        a, b, c = field(x, y, z)
        a, b, c = field(x + 0.5 * dt * a, y + 0.5 * dt * b, z + 0.5 * dt * c)
        x, y, z = x + dt * a, y + dt * b, z + dt * c
        points.append((x, y, z))
    orbit = np.array(points[warm_up:]).T
    orbit.flags.writeable = False
    return orbit


def flow(rng: np.random.Generator, length: int) -> Array:
    """Return a random projection (length,) of a Lorenz, Roessler or Chua orbit at a random speed."""
    orbit = _orbit(pick(rng, {"lorenz": 1, "roessler": 1, "chua": 1}))
    speed = min(log_uniform(rng, 0.4, 6.0), (_ORBIT - 2) / length)
    start = rng.uniform(0, _ORBIT - 1 - speed * length)
    weights = rng.standard_normal(3) * (rng.random(3) < 0.6)
    axis = orbit[int(rng.integers(3))] if not weights.any() else weights @ orbit
    return resample(axis, start + speed * np.arange(length))


@lru_cache(maxsize=1)
def _maps() -> Array:
    """Return orbits (48, 20_480) of logistic and Henon maps with different parameters, all steps at once."""
    count = 24
    growth = np.linspace(3.58, 3.99, count)
    henon = np.linspace(1.2, 1.4, count)
    x, u, v = np.linspace(0.2, 0.7, count), np.linspace(0.0, 0.1, count), np.zeros(count)
    orbit = np.empty((20_480, 2 * count))
    for step in range(len(orbit)):
        x = growth * x * (1 - x)
        u, v = 1 - henon * u * u + v, 0.3 * u
        orbit[step, :count], orbit[step, count:] = x, u
    table = np.ascontiguousarray(orbit.T)
    table.flags.writeable = False
    return table


def chaotic_map(rng: np.random.Generator, length: int) -> Array:
    """Return a logistic or Henon orbit (length,), held or smoothed over a few steps to give it a shape."""
    table = _maps()
    row = table[int(rng.integers(len(table)))]
    stride = int(rng.integers(2, 12))
    count = min(length // stride + 4, len(row))
    start = int(rng.integers(len(row) - count + 1))
    part = row[start : start + count]
    position = (
        np.linspace(0, count - 1, length) if count < length // stride + 4 else np.arange(length) / stride
    )
    return resample(part, position) if rng.random() < 0.7 else part[position.astype(np.int64)].copy()


def draw_chaos(rng: np.random.Generator, length: int) -> Array:
    """Return a chaotic series (length,) of unit variance."""
    kind = pick(rng, {"mackey_glass": 1.5, "flow": 1.5, "map": 1.0})
    maker = {"mackey_glass": mackey_glass, "flow": flow, "map": chaotic_map}[kind]
    return standardise(maker(rng, length))
