"""Several variables with a common cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vetime_plugins.synthesis._random import Array, chance, log_uniform, pick, standardise
from vetime_plugins.synthesis.normal import draw_normal
from vetime_plugins.synthesis.normal.families import FAMILIES, FAMILY_WEIGHTS, draw_period
from vetime_plugins.synthesis.normal.noise import sensor_noise
from vetime_plugins.synthesis.normal.sensor import Sensor, draw_gaps, draw_resolution
from vetime_plugins.synthesis.normal.states import pulse_train, respond


@dataclass(frozen=True)
class Panel:
    """Several normal variables before their sensors.

    Attributes
    ----------
    signal, noise : ndarray of shape (T, C)
    sensors : tuple of Sensor
    period : float or None
    family : str
    """

    signal: Array
    noise: Array
    sensors: tuple[Sensor, ...]
    period: float | None
    family: str


def draw_panel(
    rng: np.random.Generator, length: int, n_variables: int, *, gap_probability: float = 0.06, nan: bool = False
) -> Panel:
    """Draw `n_variables` normal variables (T, C): lagged non-linear mixtures of latent factors, commands, constants.

    Parameters
    ----------
    rng : numpy.random.Generator
    length : int
        T, in steps.
    n_variables : int
        C >= 2.
    gap_probability : float, default 0.06
        Probability that a variable has stretches without readings.
    nan : bool, default False
        Mark these with NaN; else the last reading is held.
    """
    period = draw_period(rng, length, cycles=10.0)
    n_factors = int(rng.integers(1, max(2, min(6, n_variables // 2)) + 1))
    factors, shown = [], None
    for _ in range(n_factors):
        draft = FAMILIES[pick(rng, FAMILY_WEIGHTS)](rng, length, period)
        shown = shown or draft.period
        factors.append(standardise(draft.signal + (draft.noise if chance(rng, 0.4) else 0.0)))
    style = pick(rng, {"plant": 5, "telemetry": 3, "loose": 2})
    roles = {
        "plant": {"mix": 8, "own": 1, "constant": rng.uniform(0, 1), "command": 1, "copy": 0.7},
        "telemetry": {"mix": 0.7, "own": 0.2, "constant": rng.uniform(0.5, 4), "command": rng.uniform(1, 6), "copy": 0.2},
        "loose": {"mix": 4, "own": 5, "constant": 0.5, "command": 0.5, "copy": 0.3},
    }[style]
    signal, noise = np.zeros((length, n_variables)), np.zeros((length, n_variables))
    sensors: list[Sensor] = []
    for c in range(n_variables):
        role = pick(rng, roles) if c else "mix"
        sensor = Sensor()
        if role == "copy":
            source = int(rng.integers(c))
            gain = log_uniform(rng, 0.3, 3.0)
            signal[:, c], noise[:, c] = gain * signal[:, source], gain * noise[:, source]
            if chance(rng, 0.7):
                noise[:, c] += log_uniform(rng, 0.003, 0.1) * max(float(signal[:, c].std()), 1e-3) * rng.standard_normal(length)
        elif role == "constant":
            signal[:, c] = rng.choice([0.0, 1.0, -1.0, rng.uniform(-50, 50)])
        elif role == "command":
            signal[:, c] = _command(rng, factors, length, period)
        elif role == "own":
            draft = draw_normal(rng, length, gap_probability=gap_probability, nan=nan)
            signal[:, c], noise[:, c], sensor = draft.signal, draft.noise, draft.sensor
        else:
            scale = log_uniform(rng, 0.1, 100.0)
            wave = _mixture(rng, factors, period)
            signal[:, c] = scale * (wave + rng.uniform(-3, 3))
            noise[:, c] = scale * log_uniform(rng, 0.005, 0.4) * sensor_noise(rng, length, calm=True)
            sensor = draw_resolution(rng, sensor, signal[:, c] + noise[:, c])
            if chance(rng, gap_probability):
                sensor = draw_gaps(rng, sensor, length, nan=nan)
        sensors.append(sensor)
    order = rng.permutation(n_variables) if style != "telemetry" else np.arange(n_variables)
    return Panel(signal[:, order], noise[:, order], tuple(sensors[i] for i in order), shown, style)


def _mixture(rng: np.random.Generator, factors: list[Array], period: float) -> Array:
    """Return a lagged, possibly non-linear mixture (T,) of one to three factors, unit variance."""
    chosen = rng.choice(len(factors), size=min(len(factors), int(rng.integers(1, 4))), replace=False)
    wave = np.zeros(len(factors[0]))
    for index in chosen:
        lag = int(rng.integers(0, max(2, int(min(period / 4, 40))))) if chance(rng, 0.5) else 0
        part = np.concatenate([np.full(lag, factors[index][0]), factors[index][: len(wave) - lag]])
        wave += rng.standard_normal() * part
    wave = standardise(wave)
    mode = pick(rng, {"linear": 5, "tanh": 1.5, "square": 0.7, "relu": 0.8, "exp": 0.7, "lagged": 1.5})
    if mode == "tanh":
        wave = np.tanh(rng.uniform(0.8, 3) * wave)
    elif mode == "square":
        wave = (wave + rng.uniform(-1, 1)) ** 2
    elif mode == "relu":
        wave = np.maximum(wave - rng.uniform(-1, 0.7), 0.0)
    elif mode == "exp":
        wave = np.exp(np.clip(wave, -4, 3))
    elif mode == "lagged":
        wave = respond(rng, wave, log_uniform(rng, 1.0, max(2.0, period / 3)))
    return standardise(wave)


def _command(rng: np.random.Generator, factors: list[Array], length: int, period: float) -> Array:
    """Return a binary channel (T,): a factor above a threshold, or a schedule of pulses, or rarely anything."""
    if chance(rng, 0.4):
        factor = factors[int(rng.integers(len(factors)))]
        return (factor > np.quantile(factor, rng.uniform(0.3, 0.97))).astype(float)
    mean = log_uniform(rng, max(10.0, period / 3), max(60.0, length / 4))
    return np.sign(pulse_train(rng, length, mean, log_uniform(rng, 1, max(1.5, mean / 3)), rng.choice([0.0, 0.3, 1.0])))
