"""What a kind of anomaly is told about the series, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vetime_plugins.synthesis._random import Array, chance, log_uniform


@dataclass(frozen=True)
class Context:
    """The surroundings of one anomaly.

    Attributes
    ----------
    rng : numpy.random.Generator
    severity : float
        0 barely visible, 1 gross.
    period : float
        Length of a cycle in steps; for an aperiodic series a length typical of its events.
    noise : float
        Robust standard deviation of the roughness of the variable.
    scale : float
        Local standard deviation of the variable around the anomaly.
    spike : float
        How far a normal point stands off its neighbours at most (99.8 % quantile).
    low, high : float
        Smallest and largest normal value.
    signal : ndarray of shape (T,)
        The variable without its noise where that is known, else the variable itself.
    """

    rng: np.random.Generator
    severity: float
    period: float
    noise: float
    scale: float
    spike: float
    low: float
    high: float
    signal: Array

    def size(self, least: float, most: float) -> float:
        """Return a magnitude between `least` and `most`, log-linear in the severity, with 20 % of play."""
        return float(least * (most / least) ** self.severity * np.exp(0.2 * self.rng.standard_normal()))

    def sign(self) -> float:
        """Return -1 or 1."""
        return -1.0 if self.rng.random() < 0.5 else 1.0


@dataclass(frozen=True)
class Change:
    """A change that lasts: the level or timing stays different, and that is the new normal.

    Attributes
    ----------
    segment : ndarray of shape (n,)
        The anomalous values.
    normal : ndarray of shape (n,)
        What a normal transition would have looked like.
    tail : ndarray of shape (T - stop,)
        All values after the anomaly, from then on normal.
    """

    segment: Array
    normal: Array
    tail: Array


def blend(old: Array, new: Array, rng: np.random.Generator, probability: float = 0.5) -> Array:
    """Return `new`, in some cases faded in from and out to `old` over up to a quarter of the span."""
    n = len(old)
    if n < 6 or not chance(rng, probability):
        return new
    width = max(1, int(n * log_uniform(rng, 0.03, 0.25)))
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(width) + 1) / (width + 1))
    weight = np.ones(n)
    weight[:width] = ramp
    weight[-width:] = ramp[::-1]
    return old + weight * (new - old)


def window_shape(n: int, rng: np.random.Generator) -> Array:
    """Return a pulse (n,) of height 1: rectangle, half sine, triangle, decay, swell, or with a swing back."""
    u = (np.arange(n) + 0.5) / n
    mode = int(rng.integers(6))
    if mode == 0:
        return np.ones(n)
    if mode == 1:
        return np.sin(np.pi * u)
    if mode == 2:
        return 1 - np.abs(2 * u - 1)
    if mode == 3:
        return np.exp(-u * rng.uniform(2, 6))
    if mode == 4:
        return u ** rng.uniform(1, 3)
    return np.where(u < rng.uniform(0.3, 0.7), 1.0, -rng.uniform(0.2, 0.9))
