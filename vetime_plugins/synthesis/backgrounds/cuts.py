"""Stretches of real series, changed enough that no two are the same, as normal behaviour."""

from __future__ import annotations

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.series.period import find_cycle
from vetime_plugins.synthesis._random import Array, chance, log_uniform, standardise
from vetime_plugins.synthesis.backgrounds.bank import BackgroundBank
from vetime_plugins.synthesis.normal.families import Draft
from vetime_plugins.synthesis.normal.noise import trend
from vetime_plugins.synthesis.normal.sensor import Sensor

_SPEED = (0.5, 2.0)
_FEW = 200  # different values of a series whose sensor is coarse
_TRIES = 4
_FLOOR = 0.02  # share of the readings at the lowest value from which on it is a limit


def source_of(name: str) -> str:
    """Return the file that a series of a bank comes from; names are ``package/file.column``."""
    return name.split(".")[0]


def draw_background(rng: np.random.Generator, length: int, bank: BackgroundBank) -> tuple[Array, float]:
    """Cut a random stretch of a real series and change it.

    Every file of the bank is equally likely, whatever the number of series in it. The stretch is read at
    up to half or twice its speed, sometimes backwards or upside down, sometimes mixed with another one,
    given a trend or noise. It keeps the resolution of its sensor unless it was mixed or got noise.

    Parameters
    ----------
    rng : numpy.random.Generator
    length : int
        T, in steps.
    bank : mapping of str to ndarray of shape (T_i,)

    Returns
    -------
    values : ndarray of shape (T,)
        In an arbitrary unit.
    step : float
        Resolution of the sensor in this unit, 0 where it is fine.

    Raises
    ------
    InputError
        Where no series of the bank has half of `length` steps.
    """
    stretch, step = _cut(rng, length, bank)
    if chance(rng, 0.15):
        other, _ = _cut(rng, length, bank)
        stretch, step = standardise(stretch) + log_uniform(rng, 0.1, 1.0) * standardise(other), 0.0
    if chance(rng, 0.15):
        stretch = stretch + log_uniform(rng, 0.2, 2.0) * float(stretch.std()) * trend(rng, length)
    if chance(rng, 0.2):
        stretch = stretch + log_uniform(rng, 0.01, 0.2) * float(stretch.std()) * rng.standard_normal(length)
        step = 0.0
    if step > 0:
        stretch = step * np.round(stretch / step)
    if chance(rng, 0.2):
        stretch = -stretch
    unit = log_uniform(rng, 0.1, 100.0)
    return unit * stretch, unit * step


def draw_real(rng: np.random.Generator, length: int, bank: BackgroundBank) -> Draft:
    """Return a stretch of a real series as normal behaviour.

    Its noise is not known apart from its signal. A sensor that never read below its most frequent lowest
    value does not do so in an anomaly either, and whole readings stay whole.

    Parameters
    ----------
    rng : numpy.random.Generator
    length : int
        In steps.
    bank : BackgroundBank

    Returns
    -------
    Draft
    """
    values, step = draw_background(rng, length, bank)
    rest = float(values.min())
    floor = rest if float(np.mean(values <= rest + 1e-9 * abs(rest))) > _FLOOR else -np.inf
    sensor = Sensor(low=floor, step=step, origin=rest)
    return Draft(values, np.zeros(length), find_cycle(values[:, None]), sensor, "real")


def _cut(rng: np.random.Generator, length: int, bank: BackgroundBank) -> tuple[Array, float]:
    """Return a stretch (length,) of a random series, resampled, and the step of its sensor (0 for none)."""
    files: dict[str, list[str]] = {}
    for name, series in bank.items():
        if len(series) > _SPEED[0] * length + 2:
            files.setdefault(source_of(name), []).append(name)
    if not files:
        raise InputError(f"no background has the {length // 2} steps that {length} need at half speed")
    names = list(files.values())[int(rng.integers(len(files)))]
    stretch = np.zeros(length)
    for _ in range(_TRIES):
        series = bank[names[int(rng.integers(len(names)))]]
        fastest = min(_SPEED[1], (len(series) - 2) / length)
        speed = 1.0 if fastest >= 1 and chance(rng, 0.4) else log_uniform(rng, _SPEED[0], fastest)
        positions = float(rng.uniform(0, len(series) - 1 - speed * (length - 1))) + speed * np.arange(length)
        first, last = int(positions[0]), int(positions[-1]) + 2
        part = series[first:last].astype(np.float64)
        if _goes_on(part):
            exact = speed == 1.0  # whole steps: nothing to interpolate
            stretch = part[:length] if exact else np.interp(positions - first, np.arange(len(part)), part)
            break
    else:
        return 1e-3 * rng.standard_normal(length), 0.0  # nothing but rest was found: let it tremble
    return stretch[::-1] if chance(rng, 0.15) else stretch, _step(part)


def _goes_on(values: Array) -> bool:
    """Return whether the stretch moves, and no 32nd of it holds half of the movement.

    A single event is no habit.
    """
    power = np.diff(values) ** 2
    blocks = np.add.reduceat(power, np.arange(0, len(power), max(1, len(power) // 32)))
    return bool(0 < blocks.max() < 0.5 * blocks.sum())


def _step(values: Array) -> float:
    """Return the smallest difference in a series of few different values, 0 where there are many."""
    different = np.unique(values)
    least = float(np.diff(different).min()) if 2 < len(different) <= _FEW else 0.0
    return least if least > 1e-4 * float(np.ptp(values)) else 0.0
