"""Machines with states, telemetry, sparse events and counts."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from vetime_plugins.synthesis._random import (
    Array,
    chance,
    log_uniform,
    pick,
    resample,
    smooth_curve,
    standardise,
)
from vetime_plugins.synthesis.normal.noise import tame


def dwell_ends(rng: np.random.Generator, length: int, mean: float, irregularity: float) -> np.ndarray:
    """Return the steps at which states end (K,), the last at or after `length`.

    `irregularity` is the coefficient of variation of the dwell times: 0 a clock, 1 a Poisson process.
    """
    count = int(length / mean * 1.5) + 12
    if irregularity < 1e-3:
        dwell = np.full(count, mean)
    else:
        shape = 1 / irregularity**2
        dwell = np.maximum(rng.gamma(shape, mean / shape, count), 1.0)
    ends = np.cumsum(dwell).astype(np.int64)
    if ends[-1] < length:
        ends = np.append(ends, length)
    return ends[: int(np.searchsorted(ends, length)) + 1]


def levels(rng: np.random.Generator, length: int, mean: float, n_levels: int, irregularity: float) -> Array:
    """Return a semi-Markov sequence of constant levels (length,); every level recurs."""
    ends = dwell_ends(rng, length, mean, irregularity)
    heights = rng.uniform(-1, 1, n_levels) if chance(rng, 0.5) else np.linspace(-1, 1, n_levels)
    if chance(rng, 0.5):  # a fixed programme
        programme = np.concatenate(
            [np.arange(n_levels), rng.integers(n_levels, size=int(rng.integers(0, 5)))]
        )
        state = programme[np.arange(len(ends)) % len(programme)]
    else:  # a random one, never twice the same level in a row
        state = np.cumsum(rng.integers(1, max(2, n_levels), len(ends))) % n_levels
    return heights[state[np.searchsorted(ends, np.arange(length), side="right").clip(max=len(ends) - 1)]]


def respond(rng: np.random.Generator, target: Array, tau: float) -> Array:
    """Return `target` (..., T) after a first- or second-order lag of `tau` steps: a valve, a motor."""
    pole = np.exp(-1 / max(tau, 0.3))
    first = target[..., :1]  # the plant was at rest before
    if chance(rng, 0.6):
        return lfilter([1 - pole], [1.0, -pole], target, zi=pole * first)[0]
    angle = rng.uniform(0.2, 1.2) / max(tau, 1.0)  # underdamped: it overshoots
    a = np.array([1.0, -2 * pole * np.cos(angle), pole**2])
    b = a.sum()
    return lfilter([b], a, target, zi=first * np.array([1 - b, -a[2]]))[0]


def grouped(rng: np.random.Generator, starts: np.ndarray, mean: float, length: int) -> np.ndarray:
    """Return every start followed by a few more close behind it, the same few each time."""
    offsets = np.cumsum(rng.integers(1, max(2, round(mean / 8)), size=int(rng.integers(2, 6))))
    every = np.concatenate([[0], offsets])
    starts = (starts[:, None] + every).ravel()
    return np.sort(starts[starts < length])


def pulse_train(
    rng: np.random.Generator, length: int, mean: float, width: float, irregularity: float
) -> Array:
    """Return short rectangular pulses (length,) of height 1, sometimes in groups or of several heights."""
    starts = dwell_ends(rng, length, mean, irregularity)[:-1]
    if mean > 30 and chance(rng, 0.25):
        starts, width = grouped(rng, starts, mean, length), min(width, max(1.0, mean / 40))
    wave = np.zeros(length + 1)
    if len(starts):
        sizes = np.ones(len(starts)) if chance(rng, 0.6) else rng.choice([1.0, 0.6, 1.6], len(starts))
        spread = rng.uniform(0.9, 1.1, len(starts)) if chance(rng, 0.5) else np.ones(len(starts))
        stops = np.minimum(starts + np.maximum(1, np.round(width * spread)).astype(np.int64), length)
        np.add.at(wave, starts, sizes)
        np.add.at(wave, stops, -sizes)
    return np.cumsum(wave)[:length].round(9)


def event_train(
    rng: np.random.Generator, length: int, mean: float, width: float, irregularity: float
) -> Array:
    """Return one motif (length,) repeated at sparse, more or less regular times, flat between."""
    starts = dwell_ends(rng, length, mean, irregularity)[:-1]
    width = max(2, round(width))
    n_knots = int(rng.integers(4, 12))
    motif = resample(rng.standard_normal(n_knots), np.linspace(0, n_knots - 1, width))
    motif *= np.sin(np.pi * (np.arange(width) + 0.5) / width) ** rng.uniform(0.2, 1.0)
    wave = np.zeros(length + width)
    if len(starts):
        height = rng.uniform(0.85, 1.15, len(starts)) if chance(rng, 0.6) else np.ones(len(starts))
        np.add.at(wave, (starts[:, None] + np.arange(width)).ravel(), (height[:, None] * motif).ravel())
    return wave[:length]


def shot_noise(rng: np.random.Generator, length: int) -> Array:
    """Return bursts that jump up and decay (length,): requests, garbage collections, page faults."""
    rate = log_uniform(rng, 0.005, 0.2)
    shots = tame(
        (rng.random(length) < max(rate, 12 / length)) * rng.gamma(rng.uniform(0.4, 2.0), 1.0, length)
    )
    pole = np.exp(-1 / log_uniform(rng, 0.5, 20.0))
    return lfilter([1.0], [1.0, -pole], shots)


def idle(rng: np.random.Generator, length: int) -> Array:
    """Return sparse, narrow, heavy-tailed spikes on nothing (length,): a machine that hardly ever works."""
    spacing = log_uniform(rng, 15, max(20.0, length / 12))
    starts = dwell_ends(rng, length, spacing, rng.choice([0.0, 0.1, 0.5, 1.0, 1.0]))[:-1]
    height = np.exp(rng.uniform(0.0, 1.1) * rng.standard_normal(len(starts)))
    if len(height) > 3:
        height = np.minimum(height, 1.2 * np.sort(height)[-3])  # the highest has company
    spikes = np.zeros(length)
    np.maximum.at(spikes, starts, height)
    width = int(rng.integers(1, 4))
    return np.maximum.reduce([np.concatenate([np.zeros(k), spikes[: length - k]]) for k in range(width)])


def ramps(rng: np.random.Generator, length: int, mean: float, irregularity: float) -> Array:
    """Return integrators that fill and are emptied at events (length,): fuel, counters, queues, batteries."""
    ends = dwell_ends(rng, length, mean, irregularity)
    index = np.searchsorted(ends, np.arange(length), side="right").clip(max=len(ends) - 1)
    begin = np.concatenate([[0], ends[:-1]])[index]
    width = np.maximum(ends[index] - begin, 1)
    part = (np.arange(length) - begin) / width
    height = rng.uniform(0.6, 1.0, len(ends))[index] if chance(rng, 0.5) else (width / width.max())
    wave = height * part ** log_uniform(rng, 0.4, 2.0)
    return wave if chance(rng, 0.7) else -wave


def counts(rng: np.random.Generator, rate: Array, dispersion: float) -> Array:
    """Return counts (length,) with the given mean: Poisson, or negative binomial where `dispersion` > 0."""
    rate = np.maximum(rate, 1e-6)
    if dispersion <= 0:
        return rng.poisson(rate).astype(float)
    shape = 1 / dispersion
    return rng.poisson(rate * rng.gamma(shape, dispersion, len(rate))).astype(float)


def drift_steps(rng: np.random.Generator, length: int) -> Array:
    """Return a monotone staircase (length,): counters, odometers, heaters that move now and then."""
    hits = rng.random(length) < log_uniform(rng, 0.005, 0.1)
    climb = np.cumsum(hits * rng.exponential(1.0, length)) + np.arange(length) * rng.uniform(0, 0.02)
    return standardise(climb) * rng.choice([-1.0, 1.0])


def telemetry(rng: np.random.Generator, length: int) -> tuple[Array, float | None]:
    """Return a spacecraft channel (length,) and its mean event spacing, None where it has none.

    Long flat stretches with command pulses, slow thermal cycles cut into steps, staircases and ramps.
    """
    mean = log_uniform(rng, 30, max(40.0, length / 8))
    irregularity = rng.choice([0.0, 0.1, 0.4, 1.0])
    mode = pick(
        rng, {"pulses": 4, "events": 2, "ramps": 2, "stairs": 1, "flat": 1, "thermal": 2, "levels": 2}
    )
    if mode == "pulses":
        width = 1.0 if chance(rng, 0.4) else max(1.0, mean * rng.uniform(0.01, 0.3))
        wave = pulse_train(rng, length, mean, width, irregularity)
        if chance(rng, 0.3):  # a second, faster command
            wave = wave + 0.3 * pulse_train(
                rng, length, max(8.0, mean / rng.uniform(2, 8)), 1 + mean / 60, irregularity
            )
        return (wave if chance(rng, 0.6) else -wave), mean
    if mode == "events":
        return event_train(rng, length, mean, max(4.0, mean * rng.uniform(0.05, 0.6)), irregularity), mean
    if mode == "ramps":
        return ramps(rng, length, mean, irregularity), mean
    if mode == "stairs":
        return drift_steps(rng, length), None
    if mode == "flat":
        return (0.0 if chance(rng, 0.5) else 0.02) * smooth_curve(rng, length, int(rng.integers(2, 30))), None
    if mode == "levels":
        return levels(rng, length, mean, int(rng.integers(2, 6)), max(irregularity, 0.1)), None
    swing = np.sin(2 * np.pi * (np.arange(length) / mean + rng.random()))
    return swing + rng.uniform(0, 1) * pulse_train(rng, length, mean / 3, max(1.0, mean / 20), 0.1), mean
