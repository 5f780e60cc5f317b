"""Several variables with a common cause.

Latent factors drive most variables, through lags and non-linear sensors; other variables are commands,
constants, copies, or go their own way. An anomaly of a factor is passed on to all that it drives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vetime_plugins.synthesis._random import Array, chance, log_uniform, pick, standardise
from vetime_plugins.synthesis.normal import draw_normal
from vetime_plugins.synthesis.normal.families import FAMILIES, FAMILY_WEIGHTS, draw_period
from vetime_plugins.synthesis.normal.noise import sensor_noise
from vetime_plugins.synthesis.normal.periodic import draw_cycles
from vetime_plugins.synthesis.normal.sensor import Sensor, draw_gaps, draw_resolution
from vetime_plugins.synthesis.normal.states import dwell_ends, grouped, respond, shot_noise
from vetime_plugins.synthesis.series import Anomaly

# Rewrites factors (K, T) and says where: (factors, period) -> (factors, anomalies of these factors).
Disturb = Callable[[Array, float | None], tuple[Array, list[Anomaly]]]

_REACH = 48  # a disturbance of a factor is followed this long after its end, in steps


@dataclass(frozen=True)
class Panel:
    """Several normal variables before their sensors.

    Attributes
    ----------
    signal, noise : ndarray of shape (T, C)
    disturbance : ndarray of shape (T, C)
        What the anomalies of the factors add.
    incidents : list of Anomaly
        These anomalies, with the variables that they reach.
    sensors : tuple of Sensor
    period : float or None
    style : str
        "plant", "body", "server", "telemetry" or "loose".
    targets : tuple of int
        The variables that anomalies may hit; commands and constants are left alone.
    """

    signal: Array
    noise: Array
    disturbance: Array
    incidents: list[Anomaly]
    sensors: tuple[Sensor, ...]
    period: float | None
    style: str
    targets: tuple[int, ...]


@dataclass
class _Board:
    """The panel while it is put together: the variables (2, T, C), undisturbed and disturbed."""

    factors: Array  # (2, K, T)
    period: float
    signal: Array  # (2, T, C)
    noise: Array
    sensors: list[Sensor] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    commands: list[Array] = field(default_factory=list)


STYLES: dict[str, float] = {"plant": 3, "body": 1.5, "server": 2.5, "telemetry": 2.5, "loose": 1}

# Families of the latent factors.
_CAUSES: dict[str, dict[str, float]] = {
    "server": {"demand": 4, "bursts": 3, "aperiodic": 1, "modulated": 0.5},
    "telemetry": {
        "telemetry": 4, "periodic": 2, "machine": 1, "events": 1, "aperiodic": 1, "modulated": 1, "tone": 0.5,
    },
    "plant": {"process": 3, "machine": 2, "aperiodic": 3, "periodic": 2, "tone": 1, "regimes": 0.5},
}  # fmt: skip

# Families of variables that go their own way, where not every family would do.
_OWN: dict[str, dict[str, float]] = {
    "server": {"demand": 3, "bursts": 3, "aperiodic": 2, "number": 1, "telemetry": 1},
    "plant": {"process": 2, "machine": 2, "aperiodic": 2, "periodic": 1, "telemetry": 1, "events": 0.5},
}


def _draw_factors(
    rng: np.random.Generator, length: int, count: int, style: str
) -> tuple[Array, float | None, float]:
    """Return factors (K, T) of unit variance, their period, and a typical time scale."""
    period = draw_period(rng, length, low=8.0, cycles=10.0)
    if style == "body":  # one rhythm, seen by many sensors
        first, line = draw_cycles(rng, length, period)
        rest = [draw_cycles(rng, length, period, line=line)[0] for _ in range(count - 1)]
        return np.stack([standardise(wave) for wave in [first, *rest]]), line.period, period
    weights = _CAUSES.get(style, FAMILY_WEIGHTS)
    factors, shown = [], None
    for _ in range(count):
        draft = FAMILIES[pick(rng, weights)](rng, length, period)
        shown = shown or draft.period
        factors.append(standardise(draft.signal + (draft.noise if chance(rng, 0.5) else 0.0)))
    return np.stack(factors), shown, period


def draw_panel(
    rng: np.random.Generator,
    length: int,
    n_variables: int,
    *,
    disturb: Disturb | None = None,
    gap_probability: float = 0.06,
    nan: bool = False,
) -> Panel:
    """Draw `n_variables` >= 2 variables of `length` steps with a common cause.

    `disturb` puts anomalies into the factors (K, T) before the variables are made from them. With
    `gap_probability` a variable has stretches without readings, marked with NaN or, by default, held.
    """
    style = pick(rng, STYLES)
    count = 1 if style == "telemetry" else int(rng.integers(1, max(2, min(6, n_variables // 2)) + 1))
    factors, shown, period = _draw_factors(rng, length, count, style)
    disturbed, anomalies = disturb(factors, shown) if disturb else (factors, [])
    shape = (length, n_variables)
    board = _Board(np.stack([factors, disturbed]), period, np.zeros((2, *shape)), np.zeros(shape))
    styles: dict[str, dict[str, float]] = {
        "plant": {"mix": 8, "own": 1, "constant": rng.uniform(0, 1), "command": 0.7, "copy": 0.7},
        "body": {"mix": 8, "own": 0.4, "constant": 0.1, "copy": 0.5},
        "server": {"load": 7, "own": 1.5, "constant": rng.uniform(0, 3), "copy": 2, "command": 0.2},
        "telemetry": {"mix": 0.2, "own": 0.1, "constant": rng.uniform(0.2, 12), "command": 5, "copy": 0.2},
        "loose": {"mix": 4, "own": 5, "constant": 0.5, "command": 0.5, "copy": 0.3},
    }
    roles = styles[style]
    makers = {"mix": _mix, "load": _load, "constant": _constant, "command": _command, "copy": _copy}
    for c in range(n_variables):
        role = pick(rng, roles) if c else ("load" if style == "server" else "mix")
        sensor = Sensor()
        if role == "own":
            draft = draw_normal(
                rng, length, families=_OWN.get(style), gap_probability=gap_probability, nan=nan
            )
            board.signal[:, :, c], board.noise[:, c], sensor = draft.signal, draft.noise, draft.sensor
        else:
            sensor = makers[role](rng, board, c)
            if role in ("mix", "load"):
                sensor = draw_resolution(rng, sensor, board.signal[0, :, c] + board.noise[:, c])
                if chance(rng, gap_probability):
                    sensor = draw_gaps(rng, sensor, length, nan=nan)
        board.sensors.append(sensor)
        board.roles.append(role)
    order = np.arange(n_variables) if style == "telemetry" else rng.permutation(n_variables)
    signal = board.signal[0][:, order]
    disturbance = board.signal[1][:, order] - signal
    targets = [i for i, c in enumerate(order) if board.roles[c] not in ("constant", "command")]
    return Panel(
        signal=signal,
        noise=board.noise[:, order],
        disturbance=disturbance,
        incidents=_trace(anomalies, disturbance),
        sensors=tuple(board.sensors[i] for i in order),
        period=shown,
        style=style,
        targets=tuple(targets),
    )


def _trace(anomalies: list[Anomaly], disturbance: Array) -> list[Anomaly]:
    """Return the anomalies of factors as anomalies of the variables they reach; clear all else in place."""
    traced = []
    inside = np.zeros(len(disturbance), dtype=bool)
    for anomaly in anomalies:
        stop = min(anomaly.stop + _REACH, len(disturbance))
        reached = np.flatnonzero(np.abs(disturbance[anomaly.start : stop]).max(axis=0) > 0)
        inside[anomaly.start : stop] = True
        if len(reached):
            traced.append(Anomaly(anomaly.kind, anomaly.start, stop, tuple(reached.tolist())))
    disturbance[~inside] = 0.0
    return traced


def _mixture(rng: np.random.Generator, board: _Board) -> Array:
    """Return a lagged, perhaps non-linear mixture (2, T) of up to three factors; unit variance at rest."""
    factors, period = board.factors, board.period
    n_factors, length = factors.shape[1:]
    chosen = rng.choice(n_factors, size=min(n_factors, int(rng.integers(1, 4))), replace=False)
    wave = np.zeros((2, length))
    for index in chosen:
        lag = int(rng.integers(0, max(2, int(min(period / 4, 40))))) if chance(rng, 0.5) else 0
        factor = factors[:, index]
        delayed = np.concatenate([np.repeat(factor[:, :1], lag, axis=1), factor[:, : length - lag]], axis=1)
        wave += rng.standard_normal() * delayed
    wave = _unit(wave)
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
        wave = respond(rng, wave, log_uniform(rng, 1.0, max(2.0, min(period / 3, _REACH / 3))))
    return _unit(wave)


def _unit(wave: Array) -> Array:
    """Return `wave` (2, T) scaled by the mean and standard deviation of its undisturbed row."""
    spread = float(wave[0].std())
    return (wave - wave[0].mean()) / (spread if spread > 1e-9 else 1.0)


def _mix(rng: np.random.Generator, board: _Board, c: int) -> Sensor:
    """Make variable `c` a physical quantity driven by the factors."""
    scale = log_uniform(rng, 0.1, 100.0)
    wave = _mixture(rng, board)
    if board.commands and chance(rng, 0.3):  # commands leave a trace
        command = board.commands[int(rng.integers(len(board.commands)))]
        wave = wave + rng.uniform(-1, 1) * respond(rng, command, log_uniform(rng, 1.0, 20.0))
    board.signal[:, :, c] = scale * (wave + rng.uniform(-3, 3))
    length = wave.shape[1]
    board.noise[:, c] = scale * log_uniform(rng, 0.005, 0.5) * sensor_noise(rng, length, calm=True)
    return Sensor()


def _load(rng: np.random.Generator, board: _Board, c: int) -> Sensor:
    """Make variable `c` a metric of a server: never below zero, with bursts of its own."""
    wave = _mixture(rng, board)
    base = (wave - wave[0].min()) / max(float(np.ptp(wave[0])), 1e-9)
    base = np.maximum(base, 0.0) ** log_uniform(rng, 0.5, 3.0) * (1.0 if chance(rng, 0.7) else 0.05)
    noise = log_uniform(rng, 0.005, 0.1) * sensor_noise(rng, wave.shape[1], calm=True)
    if chance(rng, 0.5):
        shots = shot_noise(rng, wave.shape[1])
        noise = noise + log_uniform(rng, 0.02, 0.6) * shots / max(float(shots.std()), 1e-9) / 3
    scale = log_uniform(rng, 0.1, 1000.0)
    board.signal[:, :, c], board.noise[:, c] = scale * (base + rng.uniform(0, 0.3)), scale * noise
    return Sensor(low=0.0)


def _constant(rng: np.random.Generator, board: _Board, c: int) -> Sensor:
    """Make variable `c` a constant."""
    board.signal[:, :, c] = rng.choice([0.0, 0.0, 1.0, -1.0, rng.uniform(-50, 50)])
    return Sensor()


def _copy(rng: np.random.Generator, board: _Board, c: int) -> Sensor:
    """Make variable `c` a second reading of an earlier one, exact or with noise and another gain."""
    source = int(rng.integers(c))
    gain = log_uniform(rng, 0.3, 3.0) if chance(rng, 0.7) else 1.0
    board.signal[:, :, c], board.noise[:, c] = (
        gain * board.signal[:, :, source],
        gain * board.noise[:, source],
    )
    length = len(board.noise)
    if chance(rng, 0.7) and board.roles[source] not in ("constant", "command"):
        spread = float(board.signal[0, :, c].std())
        board.noise[:, c] += log_uniform(rng, 0.003, 0.1) * max(spread, 1e-3) * rng.standard_normal(length)
    return board.sensors[source].affine(gain, 0.0)


def _command(rng: np.random.Generator, board: _Board, c: int) -> Sensor:
    """Make variable `c` binary: a factor above a threshold, or commands, many or hardly any, often shared."""
    length = len(board.noise)
    if chance(rng, 0.15):
        factor = board.factors[:, int(rng.integers(board.factors.shape[1]))]
        wave = (factor > np.quantile(factor[0], rng.uniform(0.3, 0.97))).astype(float)
        board.signal[:, :, c] = wave
        return Sensor()
    if board.commands and chance(rng, 0.5):  # a part of the commands of another channel, or all of them
        master = board.commands[int(rng.integers(len(board.commands)))]
        begins = np.flatnonzero(np.diff(master, prepend=0.0) > 0)
        begins = begins[rng.random(len(begins)) < rng.choice([1.0, 0.9, 0.5, 0.15])]
    elif chance(rng, 0.3):  # hardly ever
        begins = rng.integers(0, length, size=int(rng.integers(0, 5)))
    else:
        mean = log_uniform(rng, 15, max(60.0, length / 5))
        begins = dwell_ends(rng, length, mean, rng.choice([0.0, 0.5, 1.0]))[:-1]
        if mean > 30 and chance(rng, 0.4):
            begins = grouped(rng, begins, mean, length)
    width = 1 if chance(rng, 0.6) else int(rng.integers(2, 12))
    edges = np.zeros(length + 1)
    np.add.at(edges, begins, 1.0)
    np.add.at(edges, np.minimum(begins + width, length), -1.0)
    wave = (np.cumsum(edges)[:length] > 0.5).astype(float)
    board.commands.append(wave)
    board.signal[:, :, c] = wave
    return Sensor()
