"""Small random draws shared by the generators; every function takes the generator that it uses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return one draw whose logarithm is uniform between `low` and `high` (both above 0)."""
    if high <= low:
        return float(low)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with the given probability."""
    return bool(rng.random() < probability)


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Return one key of `weights`, with probability in proportion to its weight."""
    left = rng.random() * sum(weights.values())
    for name, weight in weights.items():  # a handful of names: faster than arrays
        left -= weight
        if left < 0:
            return name
    return max(weights, key=weights.__getitem__)  # rounding left a crumb


def standardise(values: Array) -> Array:
    """Return `values` with mean 0 and standard deviation 1 (all zeros for a constant)."""
    centred = values - values.mean()
    spread = centred.std()
    return centred / spread if spread > 1e-12 else np.zeros_like(centred)


def resample(knots: Array, positions: Array) -> Array:
    """Interpolate K >= 2 evenly spaced `knots` at `positions` (N,) in [0, K - 1] with a Catmull-Rom cubic."""
    padded = np.concatenate([[2 * knots[0] - knots[1]], knots, [2 * knots[-1] - knots[-2]]])
    left = np.clip(positions.astype(np.int64), 0, len(knots) - 2)
    u = positions - left
    p0, p1, p2, p3 = (padded[left + shift] for shift in range(4))
    return p1 + 0.5 * u * (p2 - p0 + u * (2 * p0 - 5 * p1 + 4 * p2 - p3 + u * (3 * (p1 - p2) + p3 - p0)))


def smooth_curve(rng: np.random.Generator, length: int, n_knots: int) -> Array:
    """Return a smooth random curve (length,) through `n_knots` normal values, about unit variance."""
    n_knots = max(2, int(n_knots))
    return resample(rng.standard_normal(n_knots), np.linspace(0.0, n_knots - 1.0, length))
