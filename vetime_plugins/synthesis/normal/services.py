"""Servers and web traffic: irregular by nature, so that what is rare is not yet an anomaly."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from vetime_plugins.synthesis._random import Array, chance, log_uniform, pick, smooth_curve
from vetime_plugins.synthesis.normal import states
from vetime_plugins.synthesis.normal.noise import autoregressive, tame
from vetime_plugins.synthesis.normal.periodic import draw_cycles
from vetime_plugins.synthesis.normal.shapes import draw_shape, read_table


def day_cycle(rng: np.random.Generator, length: int, day: float) -> Array:
    """Return the load of a day (length,) within 0 and 1, every day nearly the same."""
    wave, _ = draw_cycles(rng, length, day, shape=str(rng.choice(["office_hours", "smooth"])), clock=True)
    return (wave - wave.min()) / max(float(np.ptp(wave)), 1e-9)


def calendar(rng: np.random.Generator, length: int, day: float) -> Array:
    """Return a factor (length,) by which days differ: weekends, a few holidays, a season.

    Holidays are single days at random: rare, each like a weekend, and normal.
    """
    number = ((np.arange(length) / day) + rng.integers(7)).astype(np.int64)
    free = number % 7 >= 5
    if chance(rng, 0.7):
        n_days = int(number[-1]) + 1
        holidays = rng.integers(n_days, size=int(rng.integers(1, 3 + n_days // 12)))
        free |= np.isin(number, holidays)
    quiet = rng.uniform(0.2, 0.9) if chance(rng, 0.8) else rng.uniform(1.05, 1.6)
    season = np.exp(log_uniform(rng, 0.02, 0.3) * smooth_curve(rng, length, int(rng.integers(3, 9))))
    return np.where(free, quiet, 1.0) * season


def deployments(rng: np.random.Generator, length: int) -> Array:
    """Return a level (length,) that changes now and then and comes back to where it was before."""
    mean = length / rng.uniform(4, 16)
    return 0.5 + 0.5 * states.levels(
        rng, length, mean, int(rng.integers(2, 4)), float(rng.choice([0.2, 0.7]))
    )


def bursts_of_work(rng: np.random.Generator, length: int) -> Array:
    """Return many short bursts (length,) of all sizes and widths, in crowds: requests, builds."""
    crowd = np.exp(rng.uniform(0.3, 1.2) * autoregressive(rng, length, smooth=True))
    rate = max(log_uniform(rng, 0.002, 0.05), 15 / length)
    hits = rng.random(length) < np.minimum(rate * crowd / crowd.mean(), 0.5)
    size = tame(hits * np.exp(rng.uniform(0.4, 1.1) * rng.standard_normal(length)))
    slow = lfilter([1.0], [1.0, -np.exp(-1 / log_uniform(rng, 0.5, 8.0))], size)
    width = int(rng.integers(1, 12))  # some last for a while at one height
    held = np.convolve(size * (rng.random(length) < 0.3), np.ones(width))[:length]
    return slow + held


def jobs(rng: np.random.Generator, length: int, day: float) -> Array:
    """Return jobs that a clock starts (length,): each some steps long, some of them rare."""
    total = np.zeros(length)
    for _ in range(int(rng.integers(1, 4))):
        every = max(4.0, day / float(rng.choice([1, 2, 4, 24, 48, 0.5])))
        if every < length / 3:
            width = max(1.0, every * log_uniform(rng, 0.005, 0.1))
            total += rng.uniform(0.2, 1.0) * states.pulse_train(rng, length, every, width, 0.0)
    return total


def cpu(rng: np.random.Generator, length: int, day: float) -> tuple[Array, Array]:
    """Return the load and the noise of a processor: floor, day, jobs, and many short bursts."""
    load = log_uniform(rng, 0.02, 1.0) * day_cycle(rng, length, day) * chance(rng, 0.6)
    load = load + log_uniform(rng, 0.05, 1.0) * jobs(rng, length, day) * chance(rng, 0.6)
    load = load + log_uniform(rng, 0.05, 0.6) * deployments(rng, length) * chance(rng, 0.3)
    work = bursts_of_work(rng, length)
    noise = log_uniform(rng, 0.05, 0.6) * work / max(float(work.std()), 1e-9)
    noise = noise + log_uniform(rng, 0.005, 0.1) * np.abs(rng.standard_normal(length))
    return load + rng.uniform(0, 0.3), noise


def memory(rng: np.random.Generator, length: int, day: float) -> tuple[Array, Array]:
    """Return memory or disk: it fills and is freed, stands on levels, and hardly trembles."""
    signal = rng.uniform(0.3, 1.0) * deployments(rng, length)
    if chance(rng, 0.6):
        fill = log_uniform(rng, max(8.0, day / 24), max(16.0, min(3 * day, length / 5)))
        signal = signal + log_uniform(rng, 0.02, 0.5) * states.ramps(rng, length, fill, 0.3)
    if chance(rng, 0.4):
        signal = signal + log_uniform(rng, 0.01, 0.3) * day_cycle(rng, length, day)
    return signal, log_uniform(rng, 0.0005, 0.03) * autoregressive(rng, length, smooth=True)


def network(rng: np.random.Generator, length: int, day: float) -> tuple[Array, Array]:
    """Return bytes or requests: they follow the day and the week, their noise the load."""
    rate = (rng.uniform(0.02, 0.4) + day_cycle(rng, length, day)) * calendar(rng, length, day)
    rate = rate * (1 + log_uniform(rng, 0.02, 0.5) * jobs(rng, length, day) * chance(rng, 0.5))
    grain = tame(rng.gamma(log_uniform(rng, 2, 100), 1.0, length))
    grain = grain / grain.mean() - 1
    if chance(rng, 0.5):
        rate = rate * (1 + log_uniform(rng, 0.1, 1.0) * deployments(rng, length))
    return rate, rate * grain


def errors(rng: np.random.Generator, length: int, day: float) -> tuple[Array, Array]:
    """Return a counter that is mostly zero, with blips that come alone or in small crowds."""
    work = bursts_of_work(rng, length)
    blips = np.floor(work * log_uniform(rng, 1.0, 10.0))
    return np.zeros(length), blips


_METRICS = {"cpu": (cpu, 4.0), "memory": (memory, 2.0), "network": (network, 2.0), "errors": (errors, 1.0)}


def draw_metric(rng: np.random.Generator, length: int, day: float) -> tuple[str, Array, Array]:
    """Return the name, load and noise of one metric of a machine."""
    name = pick(rng, {name: weight for name, (_, weight) in _METRICS.items()})
    signal, noise = _METRICS[name][0](rng, length, day)
    return name, signal, noise


def draw_traffic(rng: np.random.Generator, length: int, day: float) -> tuple[Array, Array, float]:
    """Return the expected counts of a web site, the noise around them, and the least count.

    Weekdays, weekends and holidays; campaigns that come back, each a quick rise and a slow decay; growth.
    """
    rate = (rng.uniform(0.05, 0.5) + day_cycle(rng, length, day)) * calendar(rng, length, day)
    if chance(rng, 0.5):
        starts = states.dwell_ends(rng, length, length / rng.uniform(4, 14), float(rng.choice([0.5, 1.0])))[
            :-1
        ]
        table = draw_shape(rng, "saw")
        lasts = max(4.0, day * log_uniform(rng, 0.2, 3.0))
        for start in starts:
            phase = (np.arange(length) - start) / lasts
            inside = (phase >= 0) & (phase < 1)
            wave = read_table(table, phase) - table.min()
            rate = rate * (1 + rng.uniform(0.2, 0.6) * np.where(inside, wave, 0.0))
    if chance(rng, 0.4):
        rate = rate * np.exp(rng.uniform(-1.0, 1.0) * np.arange(length) / length)
    scale = log_uniform(rng, 5, 5000) / float(rate.mean())
    spread = log_uniform(rng, 0.002, 0.1) if chance(rng, 0.6) else 0.0
    number = states.counts(rng, scale * rate, spread)
    return scale * rate, tame(number - scale * rate), 0.0
