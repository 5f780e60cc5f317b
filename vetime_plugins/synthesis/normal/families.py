"""Families of normal series; each is a signal, its noise, and what is known of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from vetime_plugins.synthesis._random import Array, chance, log_uniform, pick, smooth_curve, standardise
from vetime_plugins.synthesis.normal import services, states
from vetime_plugins.synthesis.normal.chaos import draw_chaos
from vetime_plugins.synthesis.normal.noise import (
    autoregressive,
    coloured,
    random_walk,
    sensor_noise,
    tame,
    trend,
    volatility,
)
from vetime_plugins.synthesis.normal.periodic import draw_cycles
from vetime_plugins.synthesis.normal.sensor import Sensor, draw_gaps, draw_resolution

IDEAL = Sensor()  # reads everything as it is


@dataclass(frozen=True)
class Draft:
    """A normal series before its sensor.

    Attributes
    ----------
    signal : ndarray of shape (T,)
        What the process does.
    noise : ndarray of shape (T,)
        What is added to it at random.
    period : float or None
        Length of the shortest cycle that carries a shape, in steps; None for an aperiodic series.
    sensor : Sensor
    family : str
        Name of the family that drew it.
    """

    signal: Array
    noise: Array
    period: float | None
    sensor: Sensor = IDEAL
    family: str = ""

    @property
    def values(self) -> Array:
        """Signal plus noise, before the sensor, (T,)."""
        return self.signal + self.noise


Family = Callable[[np.random.Generator, int, float | None], Draft]


def draw_period(rng: np.random.Generator, length: int, *, low: float = 4.0, cycles: float = 6.0) -> float:
    """Return a period in steps, log-uniform from `low` up to what leaves `cycles` cycles, at most 1,500."""
    high = max(low * 1.5, min(1500.0, length / cycles))
    return log_uniform(rng, max(low, 12.0) if chance(rng, 0.85) else low, high)


def _noise(rng: np.random.Generator, signal: Array, period: float | None, low: float, high: float) -> Array:
    """Return sensor noise of a scale drawn between `low` and `high` of the signal's standard deviation."""
    level = log_uniform(rng, low, high) * max(float(signal.std()), 0.05)
    length = len(signal)
    return level * sensor_noise(rng, length, calm=level > 0.1) * volatility(rng, length, signal, period)


def periodic(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Repeat a template of any shape with jitter of length, height and base line."""
    period = period or draw_period(rng, length)
    signal, line = draw_cycles(rng, length, period)
    if chance(rng, 0.3):
        signal = signal + log_uniform(rng, 0.1, 4.0) * trend(rng, length)
    return Draft(signal, _noise(rng, signal, period, 0.005, 0.4), line.period)


def tone(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw pure sinusoids with little noise, as textbooks and test benches have them."""
    period = period or draw_period(rng, length)
    steps = np.arange(length)
    signal = np.sin(2 * np.pi * (steps / period + rng.random()))
    if chance(rng, 0.4):
        ratio = rng.choice([2.0, 3.0, 0.5, rng.uniform(1.2, 5.0)])
        signal = signal + rng.uniform(0.2, 0.8) * np.sin(2 * np.pi * (ratio * steps / period + rng.random()))
    if chance(rng, 0.3):
        signal = signal + log_uniform(rng, 0.3, 3.0) * trend(rng, length)
    return Draft(signal, log_uniform(rng, 1e-3, 0.2) * rng.standard_normal(length), period)


def heart(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw an electrocardiogram: variable rate, breathing, wandering base line, muscle noise."""
    period = period or log_uniform(rng, 40, max(60.0, min(500.0, length / 6)))
    jitter = log_uniform(rng, 0.005, 0.1)
    signal, line = draw_cycles(rng, length, period, shape="heartbeat", jitter=jitter, variety=0.35)
    breath = rng.uniform(3, 6) * period
    wander = np.sin(
        2 * np.pi * (np.arange(length) / breath + 0.3 * smooth_curve(rng, length, int(length / breath) + 3))
    )
    signal = signal + log_uniform(rng, 0.01, 0.3) * wander
    signal = signal + log_uniform(rng, 0.01, 0.4) * smooth_curve(
        rng, length, int(length / period / rng.uniform(1, 8)) + 3
    )
    return Draft(signal, _noise(rng, signal, period, 0.01, 0.2), line.period)


def demand(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw the demand of people: a day in a week in a season, noisy when busy, never below zero."""
    period = period or log_uniform(rng, 24, max(36.0, min(1500.0, length / 4)))
    day, line = draw_cycles(
        rng, length, period, shape=rng.choice(["office_hours", "fourier", "smooth"]), clock=True
    )
    day = (day - day.min()) / max(float(np.ptp(day)), 1e-9)
    weekday = (line.cycle + rng.integers(7)) % 7
    week = np.where(weekday < 5, 1.0, rng.uniform(0.4, 1.1)) if chance(rng, 0.5) else np.ones(length)
    season = np.exp(log_uniform(rng, 0.02, 0.35) * smooth_curve(rng, length, int(rng.integers(3, 12))))
    rate = (rng.uniform(0.03, 0.6) + day * week) * season
    if chance(rng, 0.4):  # jobs that run every half hour: a ripple that follows the load
        fine = max(4.0, period / rng.choice([24, 48, 12]))
        ripple, _ = draw_cycles(rng, length, fine, clock=True)
        rate = rate * (1 + log_uniform(rng, 0.01, 0.12) * ripple)
    level = log_uniform(rng, 0.008, 0.15)
    grain = sensor_noise(rng, length, calm=True)
    if chance(rng, 0.5):
        grain = 0.6 * grain + 0.8 * autoregressive(rng, length, smooth=True)
    noise = level * grain * (rate if chance(rng, 0.7) else np.sqrt(rate * rate.mean()))
    if chance(rng, 0.3):
        scale = log_uniform(rng, 3, 3000) / rate.mean()
        spread = chance(rng, 0.5) * log_uniform(rng, 0.003, 0.2)
        number = states.counts(rng, scale * np.maximum(rate + noise, 0.0), spread)
        return Draft(scale * rate, number - scale * rate, period, Sensor(low=0.0, step=1.0))
    return Draft(rate, noise, period, Sensor(low=0.0))


def bursts(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw a server metric without a calendar: shot noise, heavy tails, idle floor, now and then a job."""
    if chance(rng, 0.35):
        return _idle(rng, length)
    signal = np.zeros(length)
    if chance(rng, 0.4):
        period = period or draw_period(rng, length)
        signal = states.pulse_train(
            rng, length, period, max(1.0, period * rng.uniform(0.02, 0.3)), rng.choice([0.0, 0.1, 0.5])
        )
        signal = signal * log_uniform(rng, 0.5, 6.0)
    else:
        period = None
    noise = states.shot_noise(rng, length)
    noise = noise / max(float(noise.std()), 1e-9)
    if chance(rng, 0.3):
        noise = np.exp(log_uniform(rng, 0.2, 1.0) * tame(autoregressive(rng, length, smooth=True), 1.1))
    noise = noise + log_uniform(rng, 0.01, 0.3) * np.abs(rng.standard_normal(length))
    high = np.inf
    if chance(rng, 0.2):
        high = float(np.quantile(signal + noise, rng.uniform(0.97, 1.0)))
    return Draft(signal + rng.uniform(0, 1), noise, period, Sensor(low=0.0, high=high))


def _idle(rng: np.random.Generator, length: int) -> Draft:
    """Draw a metric that rests on a floor, with sparse work of all sizes."""
    signal = states.idle(rng, length)
    noise = np.zeros(length)
    mode = pick(rng, {"none": 2, "thin": 2, "rare": 1})
    if mode == "thin":
        noise = log_uniform(rng, 0.003, 0.1) * np.abs(sensor_noise(rng, length, calm=True))
    elif mode == "rare":  # small change on the floor
        noise = log_uniform(rng, 0.01, 0.1) * (rng.random(length) < 0.05)
    step = log_uniform(rng, 0.02, 0.3) if chance(rng, 0.4) else 0.0
    return Draft(signal + rng.uniform(0, 1) * chance(rng, 0.5), noise, None, Sensor(low=0.0, step=step))


def aperiodic(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw noise with memory: AR, 1/f, random walk, mean-reverting level."""
    mode = pick(rng, {"ar": 3, "pink": 2, "walk": 2, "level": 3})
    if mode == "ar":
        signal = autoregressive(rng, length)
    elif mode == "pink":
        signal = coloured(rng, length, rng.uniform(0.5, 2.2))
    elif mode == "walk":
        signal = random_walk(rng, length)
    else:  # a steady level: everything is noise
        signal = 0.1 * smooth_curve(rng, length, int(rng.integers(2, 20)))
        noise = sensor_noise(rng, length) * volatility(rng, length, signal, None)
        return Draft(signal, log_uniform(rng, 0.05, 1.0) * noise, None)
    if chance(rng, 0.3):
        signal = signal + trend(rng, length)
    return Draft(signal, _noise(rng, signal, None, 0.005, 0.3), None)


def machine(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw on/off and multi-level states with the lag of a real plant."""
    mean = period or log_uniform(rng, 12, max(20.0, min(1000.0, length / 12)))
    irregularity = rng.choice([0.0, 0.03, 0.15, 0.5, 1.0])
    n_levels = 2 if chance(rng, 0.5) else int(rng.integers(3, 7))
    warm_up = round(3 * mean)  # the start of a machine is no part of its usual work
    signal = states.levels(rng, length + warm_up, mean, n_levels, irregularity)
    on = signal[warm_up:] > np.median(signal)
    if chance(rng, 0.6):
        signal = states.respond(rng, signal, mean * log_uniform(rng, 0.01, 0.6))
    signal = signal[warm_up:]
    noise = log_uniform(rng, 0.002, 0.25) * sensor_noise(rng, length, calm=True)
    if chance(rng, 0.4):  # the machine is only noisy while it runs
        noise = noise * np.where(on, 1.0, rng.uniform(0.0, 0.3))
    if chance(rng, 0.2):
        signal = signal + log_uniform(rng, 0.2, 2.0) * trend(rng, length)
    return Draft(signal, noise, mean * n_levels if irregularity < 0.2 else None)


def telemetry(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw a spacecraft channel: flat stretches, command pulses, staircases, coarse steps."""
    signal, mean = states.telemetry(rng, length)
    noise = np.zeros(length)
    if chance(rng, 0.5):
        noise = log_uniform(rng, 0.002, 0.1) * rng.standard_normal(length)
    sensor = Sensor(step=log_uniform(rng, 0.01, 0.2)) if chance(rng, 0.4) else Sensor()
    return Draft(signal, noise, mean, sensor)


def number(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw counts: Poisson or negative binomial, with a rate that is steady, seasonal or wandering."""
    rate = np.exp(log_uniform(rng, 0.05, 0.5) * smooth_curve(rng, length, int(rng.integers(2, 15))))
    if chance(rng, 0.6):
        period = period or draw_period(rng, length)
        cycle, _ = draw_cycles(rng, length, period, clock=True)
        rate = rate * np.exp(rng.uniform(0.2, 1.2) * np.clip(cycle, -3, 3))
    else:
        period = None
    rate = rate * log_uniform(rng, 0.2, 200)
    value = states.counts(rng, rate, chance(rng, 0.5) * log_uniform(rng, 0.01, 1.0))
    return Draft(rate, value - rate, period, Sensor(low=0.0, step=1.0))


def chaotic(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw deterministic chaos with little noise."""
    signal = draw_chaos(rng, length)
    return Draft(signal, log_uniform(rng, 1e-3, 0.15) * rng.standard_normal(length), None)


def events(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Repeat a motif at sparse times on a quiet base line: a rare event that recurs is normal."""
    mean = period or log_uniform(rng, 20, max(30.0, min(1200.0, length / 8)))
    irregularity = rng.choice([0.0, 0.05, 0.2, 0.6, 1.0])
    signal = states.event_train(rng, length, mean, max(4.0, mean * rng.uniform(0.08, 0.7)), irregularity)
    if chance(rng, 0.3):
        other = mean * rng.uniform(1.5, 5)
        if other < length / 4:
            signal = signal + states.event_train(
                rng, length, other, max(4.0, mean * rng.uniform(0.1, 0.5)), irregularity
            )
    base = log_uniform(rng, 0.01, 0.5) * smooth_curve(rng, length, int(length / mean) + 3) * chance(rng, 0.5)
    return Draft(signal + base, _noise(rng, signal, mean, 0.01, 0.3), mean if irregularity < 0.3 else None)


def modulated(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Add or multiply two cycles of different lengths: beats, tides, ripples on a slow swing."""
    period = period or draw_period(rng, length, cycles=20.0)
    fast, _ = draw_cycles(rng, length, period)
    slow, _ = draw_cycles(rng, length, min(period * log_uniform(rng, 2.5, 30), length / 2.5))
    if chance(rng, 0.5):
        signal = fast + log_uniform(rng, 0.3, 4.0) * slow
    else:
        depth = (slow - slow.min()) / max(float(np.ptp(slow)), 1e-9)
        signal = fast * (rng.uniform(0.1, 0.5) + depth) + rng.uniform(0, 1) * slow
    return Draft(signal, _noise(rng, signal, period, 0.005, 0.3), period)


def process(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw a controlled plant: set points, a lagged answer, load disturbances, valve hunting."""
    mean = log_uniform(rng, 40, max(60.0, length / 6))
    target = states.levels(rng, length, mean, int(rng.integers(2, 5)), rng.choice([0.1, 0.5, 1.0]))
    signal = states.respond(rng, target, mean * log_uniform(rng, 0.01, 0.3))
    load = lfilter([1.0], [1.0, -np.exp(-1 / log_uniform(rng, 5, 100))], rng.standard_normal(length))
    signal = signal + log_uniform(rng, 0.01, 0.3) * standardise(load)
    hunting = None
    if chance(rng, 0.5):
        hunting = period or draw_period(rng, length, cycles=20.0)
        signal = signal + log_uniform(rng, 0.02, 0.5) * draw_cycles(rng, length, hunting)[0]
    return Draft(signal, _noise(rng, signal, None, 0.01, 0.2), hunting)


def regimes(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw two or three ways of running that take turns, each of which recurs."""
    names = ["periodic", "aperiodic", "machine", "tone", "events", "telemetry"]
    count = int(rng.integers(2, 4))
    period = period or draw_period(rng, length, cycles=20.0)
    parts = [FAMILIES[str(rng.choice(names))](rng, length, period) for _ in range(count)]
    mean = max(length / rng.uniform(8, 24), min(3 * period, length / 8))
    ends = states.dwell_ends(rng, length, mean, rng.choice([0.05, 0.3]))
    turn = np.searchsorted(ends, np.arange(length), side="right") % count
    height = rng.uniform(0.3, 1.0, count)
    level = rng.uniform(-1.5, 1.5, count)
    signal = np.choose(
        turn, [h * standardise(p.signal) + b for p, h, b in zip(parts, height, level, strict=True)]
    )
    spread = [max(float(p.signal.std()), 0.05) for p in parts]
    noise = np.choose(turn, [h * p.noise / s for p, h, s in zip(parts, height, spread, strict=True)])
    return Draft(signal, noise, parts[0].period)


def metric(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw a metric of a machine: processor, memory, network or errors; short bursts, levels that recur."""
    day = period or log_uniform(rng, 60, max(90.0, min(1500.0, length / 3)))
    name, signal, noise = services.draw_metric(rng, length, day)
    top = float((signal + noise).max())
    high = top * rng.uniform(0.9, 1.0) if name == "cpu" and chance(rng, 0.15) else np.inf
    step = 1.0 if name == "errors" else 0.0
    return Draft(signal, noise, day if name == "network" else None, Sensor(low=0.0, high=high, step=step))


def web(rng: np.random.Generator, length: int, period: float | None = None) -> Draft:
    """Draw the visits of a web site: weekends, holidays, campaigns that come back, growth; whole numbers."""
    day = period or log_uniform(rng, 24, max(36.0, min(1500.0, length / 8)))
    rate, noise, low = services.draw_traffic(rng, length, day)
    return Draft(rate, noise, day, Sensor(low=low, step=1.0))


FAMILIES: dict[str, Family] = {
    function.__name__: function
    for function in (
        periodic, tone, heart, demand, bursts, aperiodic, machine, telemetry, number, chaotic, events,
        modulated, process, regimes, metric, web,
    )
}  # fmt: skip
"""Every family of normal series by its name: ``family(rng, length)`` gives a `Draft`."""

FAMILY_WEIGHTS: dict[str, float] = {
    "periodic": 5, "tone": 1, "heart": 2.5, "demand": 3, "bursts": 2, "aperiodic": 2, "machine": 1.5,
    "telemetry": 3, "number": 1, "chaotic": 1, "events": 1.5, "modulated": 1.5, "process": 1, "regimes": 1,
}  # fmt: skip
# "metric" and "web" are drawn where a recipe names them.


def unrest(rng: np.random.Generator, draft: Draft) -> Draft:
    """Add a few mild irregularities of level, height and noise: what nobody would call an anomaly."""
    signal, noise, length = draft.signal.copy(), draft.noise.copy(), len(draft.signal)
    spread, level = float(signal.std()), float(signal.mean())
    base = draft.period or length / 30
    depth = log_uniform(rng, 0.03, 0.25)
    for _ in range(int(rng.integers(2, 8))):
        n = int(np.clip(base * log_uniform(rng, 0.5, 5), 8, length // 5))
        start = int(rng.integers(0, length - n + 1))
        ramp = np.minimum(1.0, np.minimum(np.arange(n), np.arange(n)[::-1]) / (rng.uniform(0.05, 0.5) * n))
        part = slice(start, start + n)
        mode, size = int(rng.integers(3)), depth * rng.uniform(0.5, 1.0) * rng.choice([-1.0, 1.0])
        if mode == 0:
            signal[part] += size * spread * ramp
        elif mode == 1:
            signal[part] += size * ramp * (signal[part] - level)
        else:
            noise[part] *= 1 + (2 if size > 0 else 0.8) * size * ramp
    return replace(draft, signal=signal, noise=noise)


_RESTLESS = frozenset({"periodic", "heart", "demand", "modulated", "process", "machine", "events"})


def draw_normal(
    rng: np.random.Generator,
    length: int,
    *,
    families: Mapping[str, float] | None = None,
    period: float | None = None,
    gap_probability: float = 0.06,
    nan: bool = False,
) -> Draft:
    """Draw one normal series of any family, in arbitrary units, with its sensor.

    Parameters
    ----------
    rng : numpy.random.Generator
    length : int
        T, in steps.
    families : mapping of str to float, optional
        Weights of the families; by default `FAMILY_WEIGHTS`.
    period : float, optional
        Wished period in steps, where the family has one.
    gap_probability : float, default 0.06
        Probability of stretches without readings.
    nan : bool, default False
        Mark such readings with NaN; else the last one is held.

    Returns
    -------
    Draft
    """
    family = pick(rng, families or FAMILY_WEIGHTS)
    draft = FAMILIES[family](rng, length, period)
    if family in _RESTLESS and draft.sensor.step == 0 and chance(rng, 0.3):
        draft = unrest(rng, draft)
    sensor = draw_resolution(rng, draft.sensor, draft.values)
    signal, noise = draft.signal, draft.noise
    if sensor.step != 1.0:  # counts keep their unit
        scale, offset = log_uniform(rng, 0.1, 1000.0), 0.0
        if sensor.low == -np.inf and chance(rng, 0.7):
            offset = scale * rng.uniform(-10, 10)
        signal, noise, sensor = signal * scale + offset, noise * scale, sensor.affine(scale, offset)
    if chance(rng, gap_probability):
        sensor = draw_gaps(rng, sensor, length, nan=nan)
    return replace(draft, signal=signal, noise=noise, sensor=sensor, family=family)
