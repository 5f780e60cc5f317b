"""Noise, trends and random walks."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import lfilter

from vetime_plugins.synthesis._random import Array, chance, log_uniform, pick, smooth_curve, standardise


def tame(values: Array, room: float = 1.3) -> Array:
    """Limit the extremes of a heavy-tailed sample (length,), so that even the largest are no loners.

    Heavy tails are normal behaviour where large values recur. A value of which there is but one would be an
     anomaly without a label; it is pulled back to `room` times the third largest magnitude of every two
    thousand steps.
    """
    rank = max(3, round(0.0015 * len(values)))
    if rank >= len(values):
        return values
    limit = room * float(np.partition(np.abs(values), -rank)[-rank])
    return np.clip(values, -limit, limit)


def coloured(rng: np.random.Generator, length: int, exponent: float) -> Array:
    """Return unit noise (length,) with a power spectrum of 1/f**exponent (0 white, 1 pink, 2 brown)."""
    size = next_fast_len(length + 8, real=True)
    spectrum = rfft(rng.standard_normal(size))
    frequency = np.arange(len(spectrum), dtype=float)
    frequency[0] = 1.0
    spectrum *= frequency ** (-exponent / 2)
    spectrum[0] = 0.0
    return standardise(irfft(spectrum, size)[:length])


def autoregressive(rng: np.random.Generator, length: int, *, smooth: bool = False) -> Array:
    """Return a stationary AR process (length,) of unit variance, by one to four random stable poles.

    With `smooth` it has a single positive pole, hence no resonance that comes and goes.
    """
    if smooth or chance(rng, 0.4):
        poles = np.array([rng.uniform(0.3, 0.995)])
    else:
        radius = 1 - np.exp(rng.uniform(np.log(0.004), np.log(0.5), size=1 if chance(rng, 0.6) else 2))
        angle = np.exp(rng.uniform(np.log(0.02), np.log(2.5), size=len(radius)))
        poles = np.concatenate([radius * np.exp(1j * angle), radius * np.exp(-1j * angle)])
    warm_up = 300
    return standardise(lfilter([1.0], np.poly(poles).real, rng.standard_normal(length + warm_up))[warm_up:])


def random_walk(rng: np.random.Generator, length: int) -> Array:
    """Return a random walk (length,) of unit variance: Gaussian, heavy-tailed or with rare steps."""
    mode = pick(rng, {"gaussian": 3, "heavy": 1, "rare": 1})
    if mode == "gaussian":
        steps = rng.standard_normal(length)
    elif mode == "heavy":
        steps = tame(rng.standard_t(2.5, length))
    else:
        steps = rng.standard_normal(length) * (rng.random(length) < log_uniform(rng, 0.02, 0.3))
    return standardise(np.cumsum(steps))


def trend(rng: np.random.Generator, length: int) -> Array:
    """Return a slow trend (length,) of about unit range: line, broken line, curve, saturation."""
    t = np.linspace(0.0, 1.0, length)
    sign = rng.choice([-1.0, 1.0])
    mode = pick(rng, {"line": 3, "broken": 2, "curve": 2, "saturation": 1, "wander": 3})
    if mode == "line":
        return sign * t
    if mode == "broken":
        n_parts = int(rng.integers(2, 6))  # of a fifth of their mean length at least: a slope, not a jump
        corners = np.concatenate([[0.0], np.cumsum(rng.uniform(0.2, 1.0, n_parts))])
        corners /= corners[-1]
        return np.interp(t, corners, np.cumsum(rng.standard_normal(len(corners)))) / 1.5
    if mode == "curve":
        return sign * t ** rng.uniform(1.5, 3.0)
    if mode == "saturation":
        return sign * (1 - np.exp(-t * rng.uniform(2, 10)))
    return 0.5 * smooth_curve(rng, length, int(rng.integers(3, 20)))


def volatility(rng: np.random.Generator, length: int, signal: Array, period: float | None) -> Array:
    """Return a positive factor (length,) for the noise: constant, with the level, slow, or in spells."""
    mode = pick(rng, {"constant": 5, "level": 2, "slow": 2, "spells": 1, "clustered": 1})
    if mode == "level":  # busy hours are noisy hours
        level = (signal - signal.min()) / max(float(np.ptp(signal)), 1e-9)
        return 0.2 + 1.6 * (level if chance(rng, 0.85) else 1 - level)
    if mode == "slow":
        return np.exp(rng.uniform(0.2, 0.8) * smooth_curve(rng, length, int(rng.integers(3, 15))))
    if mode == "spells":  # recurring noisy spells, so normal ones: a moving patient, a running pump
        spell = period * rng.uniform(0.5, 4) if period else log_uniform(rng, 20, max(30.0, length / 15))
        waves = smooth_curve(rng, length, int(length / spell) + 4)
        return 1 + rng.uniform(0.5, 3) / (1 + np.exp(-8 * (waves - rng.uniform(0.3, 1.2))))
    if mode == "clustered":
        return np.exp(0.5 * standardise(lfilter([1.0], [1.0, -0.98], rng.standard_normal(length))))
    return np.ones(length)


def sensor_noise(rng: np.random.Generator, length: int, *, calm: bool = False) -> Array:
    """Return zero-mean noise (length,) of unit scale: Gaussian, heavy-tailed, impulsive or coloured.

    With `calm` only thin-tailed kinds are drawn (for signals where one outlier would be an anomaly).
    """
    weights = {"gaussian": 5.0, "laplace": 1.0, "uniform": 0.5, "ar": 2.0, "pink": 1.0}
    if not calm:
        weights |= {"student": 1.5, "impulsive": 0.7}
    mode = pick(rng, weights)
    if mode == "student":
        return tame(rng.standard_t(rng.uniform(2.2, 6.0), length)) * 0.7
    if mode == "laplace":
        return rng.laplace(0.0, 0.7, length)
    if mode == "uniform":
        return rng.uniform(-1.7, 1.7, length)
    if mode == "ar":
        return autoregressive(rng, length)
    if mode == "pink":
        return coloured(rng, length, rng.uniform(0.4, 1.4))
    noise = rng.standard_normal(length)
    if mode == "impulsive":  # frequent enough to be part of normal behaviour
        hits = rng.random(length) < max(log_uniform(rng, 0.003, 0.03), 8 / length)
        heavy = rng.uniform(3, 12) * (rng.exponential(1.0, length) + 0.3) * rng.choice([-1.0, 1.0], length)
        noise = tame(noise + hits * (np.abs(heavy) if chance(rng, 0.5) else heavy))
    return noise
