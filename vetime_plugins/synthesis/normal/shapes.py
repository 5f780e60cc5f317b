"""Shapes of one cycle, as tables over the phase.

Each function draws the parameters of one shape and returns its table: `TABLE` values at the phases
0, 1/TABLE, ..., with mean 0 and variance 1. A table is read at any phase by linear interpolation, so that
one shape serves cycles of every length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from vetime_plugins.synthesis._random import Array, chance, pick, resample, standardise

TABLE = 1024
PHASE = np.arange(TABLE) / TABLE

Shape = Callable[[np.random.Generator], Array]


def _bump(centre: float, width: float) -> Array:
    """Return a Gaussian bump on the circle of phases; `width` is its standard deviation."""
    distance = (PHASE - centre + 0.5) % 1.0 - 0.5
    return np.exp(-0.5 * (distance / width) ** 2)


def _circular_smooth(table: Array, width: float) -> Array:
    """Low-pass a periodic table with a Gaussian of standard deviation `width` (in cycles)."""
    frequency = np.arange(TABLE // 2 + 1)
    gain = np.exp(-2.0 * (np.pi * frequency * width) ** 2)
    return np.fft.irfft(np.fft.rfft(table) * gain, TABLE)


def sine(rng: np.random.Generator) -> Array:
    """Draw one plain sinusoid."""
    return np.sin(2 * np.pi * (PHASE + rng.random()))


def fourier(rng: np.random.Generator) -> Array:
    """Draw a few harmonics with random phases and a power-law fall of their amplitudes."""
    order = np.arange(1, rng.integers(2, 13))
    amplitude = rng.standard_normal(len(order)) * order ** -rng.uniform(0.3, 2.0)
    phase = rng.random(len(order))
    return amplitude @ np.sin(2 * np.pi * (order[:, None] * PHASE + phase[:, None]))


def heartbeat(rng: np.random.Generator) -> Array:
    """Draw an electrocardiogram beat: P wave, QRS complex and T wave, in one of many leads."""
    centre = 0.35
    width = rng.uniform(0.008, 0.022)
    qrs = pick(rng, {"R": 5, "rS": 2, "QR": 2, "RSR": 1})
    beat = rng.uniform(0.05, 0.25) * _bump(centre - rng.uniform(0.13, 0.2), rng.uniform(0.018, 0.035))
    sign_t = rng.choice([1.0, 1.0, 1.0, -1.0])
    beat += sign_t * rng.uniform(0.08, 0.5) * _bump(centre + rng.uniform(0.22, 0.34), rng.uniform(0.03, 0.06))
    q, r, s = {
        "R": (-rng.uniform(0, 0.2), 1.0, -rng.uniform(0, 0.45)),
        "rS": (0.0, rng.uniform(0.15, 0.5), -rng.uniform(0.7, 1.4)),
        "QR": (-rng.uniform(0.5, 1.0), 1.0, 0.0),
        "RSR": (rng.uniform(0.2, 0.5), -rng.uniform(0.4, 0.9), rng.uniform(0.5, 1.0)),
    }[qrs]
    beat += q * _bump(centre - 2.2 * width, width) + r * _bump(centre, width)
    beat += s * _bump(centre + rng.uniform(1.8, 2.8) * width, width * rng.uniform(0.8, 1.8))
    if chance(rng, 0.3):  # a raised or depressed ST segment
        beat += rng.uniform(-0.2, 0.2) * np.clip(_bump(centre + 0.12, 0.06) * 1.5, 0, 1)
    return beat if chance(rng, 0.8) else -beat


def pulse_wave(rng: np.random.Generator) -> Array:
    """Draw a blood-pressure wave: steep upstroke, decay, dicrotic notch."""
    rise = rng.uniform(0.08, 0.2)
    wave = np.where(
        rise > PHASE, np.sin(0.5 * np.pi * PHASE / rise) ** 2, np.exp(-(PHASE - rise) * rng.uniform(2, 5))
    )
    notch = rise + rng.uniform(0.15, 0.3)
    wave = wave - rng.uniform(0.05, 0.25) * _bump(notch, 0.025)
    wave = wave + rng.uniform(0.05, 0.3) * _bump(notch + 0.08, 0.05)
    return _circular_smooth(wave, 0.012)


def breath(rng: np.random.Generator) -> Array:
    """Draw a breath: an asymmetric swing, with or without a pause at its end."""
    warp = PHASE ** rng.uniform(0.6, 1.7)
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * np.minimum(warp / rng.uniform(0.6, 1.0), 1.0))
    return _circular_smooth(wave ** rng.uniform(0.6, 2.0), 0.01)


def gait(rng: np.random.Generator) -> Array:
    """Draw a step: two or three humps of unequal height and one sharp impact."""
    wave = np.zeros(TABLE)
    for centre in np.linspace(0.15, 0.75, int(rng.integers(2, 4))):
        wave += rng.uniform(0.4, 1.2) * _bump(centre + rng.uniform(-0.05, 0.05), rng.uniform(0.04, 0.1))
    return wave + rng.uniform(-1.5, 1.5) * _bump(rng.uniform(0, 1), rng.uniform(0.01, 0.03))


def square(rng: np.random.Generator) -> Array:
    """Draw two levels with a random duty cycle."""
    return (rng.uniform(0.08, 0.92) > PHASE).astype(float)


def trapezoid(rng: np.random.Generator) -> Array:
    """Draw a ramp up, a plateau, a ramp down and a rest."""
    corners = np.sort(rng.uniform(0.0, 1.0, 4))
    return np.interp(PHASE, corners, [0.0, 1.0, rng.uniform(0.7, 1.1), 0.0])


def staircase(rng: np.random.Generator) -> Array:
    """Draw several constant levels one after another."""
    n_levels = int(rng.integers(3, 9))
    edges = np.sort(rng.uniform(0, 1, n_levels - 1))
    return rng.uniform(-1, 1, n_levels)[np.searchsorted(edges, PHASE, side="right")]


def saw(rng: np.random.Generator) -> Array:
    """Draw a slow ramp and a fast return, either way round."""
    top = rng.uniform(0.02, 0.98) if chance(rng, 0.5) else rng.choice([0.02, 0.98])
    return np.interp(PHASE, [0.0, top, 1.0], [0.0, 1.0, 0.0])


def charge(rng: np.random.Generator) -> Array:
    """Draw a first-order charge and discharge: boilers, batteries, thermostats."""
    duty, speed_up, speed_down = rng.uniform(0.2, 0.8), rng.uniform(2, 25), rng.uniform(2, 25)
    up = 1 - np.exp(-speed_up * PHASE)
    top = 1 - np.exp(-speed_up * duty)
    return np.where(duty > PHASE, up, top * np.exp(-speed_down * (PHASE - duty)))


def ringing(rng: np.random.Generator) -> Array:
    """Draw a damped oscillation after a shock at the start of the cycle."""
    wave = np.exp(-PHASE * rng.uniform(3, 14)) * np.sin(2 * np.pi * PHASE * rng.uniform(3, 16))
    return wave + rng.uniform(0, 0.6) * np.exp(-PHASE * 8)


def smooth(rng: np.random.Generator) -> Array:
    """Draw a random smooth curve: periodic noise, low-passed."""
    return _circular_smooth(rng.standard_normal(TABLE), np.exp(rng.uniform(np.log(0.008), np.log(0.1))))


def polygon(rng: np.random.Generator) -> Array:
    """Draw straight lines between random corners."""
    corners = np.concatenate([[0.0], np.sort(rng.uniform(0, 1, int(rng.integers(3, 10)))), [1.0]])
    heights = rng.standard_normal(len(corners))
    heights[-1] = heights[0]
    return np.interp(PHASE, corners, heights)


def motif(rng: np.random.Generator) -> Array:
    """Draw a random burst of activity, then rest."""
    active = rng.uniform(0.12, 0.7)
    inside: Array = np.minimum(PHASE / active, 1.0)
    n_knots = int(rng.integers(5, 18))
    curve = resample(rng.standard_normal(n_knots), inside * float(n_knots - 1))
    return curve * np.sin(np.pi * inside) ** rng.uniform(0.3, 1.0)


def spikes(rng: np.random.Generator) -> Array:
    """Draw a few narrow pulses of both signs on a flat line."""
    wave = np.zeros(TABLE)
    sign = rng.choice([1.0, -1.0])
    for _ in range(int(rng.integers(1, 5))):
        flip = 1.0 if chance(rng, 0.8) else -1.0
        wave += sign * flip * rng.uniform(0.3, 1.0) * _bump(rng.uniform(0, 1), rng.uniform(0.006, 0.03))
    return wave


def office_hours(rng: np.random.Generator) -> Array:
    """Draw a day of human demand: low night, steep morning, a plateau with one or two humps, slow evening."""
    morning, evening = rng.uniform(0.2, 0.42), rng.uniform(0.7, 0.95)
    steep_up, steep_down = rng.uniform(15, 60), rng.uniform(8, 40)
    day = 1 / (1 + np.exp(-steep_up * (PHASE - morning))) - 1 / (1 + np.exp(-steep_down * (PHASE - evening)))
    day += rng.uniform(0, 0.5) * _bump(rng.uniform(0.4, 0.55), rng.uniform(0.03, 0.08))
    day += rng.uniform(-0.2, 0.5) * _bump(rng.uniform(0.6, 0.85), rng.uniform(0.03, 0.08))
    return np.roll(_circular_smooth(day, 0.008), int(rng.integers(TABLE)))


def plateau(rng: np.random.Generator) -> Array:
    """Draw an on/off cycle whose on-part overshoots, settles, ripples or sags."""
    duty = rng.uniform(0.2, 0.7)
    inside = np.minimum(PHASE / duty, 1.0)
    top = 1 + rng.uniform(-0.3, 0.4) * np.exp(-inside * rng.uniform(4, 20)) + rng.uniform(-0.3, 0.3) * inside
    top += rng.uniform(0, 0.08) * np.sin(2 * np.pi * inside * rng.integers(5, 30))
    return np.where(duty > PHASE, top, rng.uniform(-0.1, 0.1) * np.exp(-(PHASE - duty) * rng.uniform(5, 30)))


def arch(rng: np.random.Generator) -> Array:
    """Draw rectified sine arcs, sometimes with one half missing."""
    wave = np.abs(np.sin(np.pi * PHASE)) ** rng.uniform(0.4, 2.5)
    return wave if chance(rng, 0.6) else np.where(PHASE < 0.5, np.sin(2 * np.pi * PHASE), 0.0)


def chirp(rng: np.random.Generator) -> Array:
    """Draw a tone whose frequency rises or falls within the cycle."""
    first, last = rng.integers(1, 5), rng.integers(5, 14)
    wave = np.sin(2 * np.pi * (first * PHASE + 0.5 * (last - first) * PHASE**2))
    wave = wave * np.sin(np.pi * PHASE) ** rng.uniform(0.0, 1.0)
    return wave if chance(rng, 0.5) else wave[::-1].copy()


def rough(rng: np.random.Generator) -> Array:
    """Draw a rough but exactly recurring curve (a machine tool, a repeated programme)."""
    steps = rng.standard_normal(TABLE // 16)
    walk = lfilter([1.0], [1.0, -rng.uniform(0.5, 0.98)], steps)
    walk = walk - np.linspace(walk[0], walk[-1], len(walk))
    return np.interp(PHASE * len(walk), np.arange(len(walk) + 1), np.append(walk, walk[0]))


SHAPES: dict[str, Shape] = {
    function.__name__: function
    for function in (
        sine, fourier, heartbeat, pulse_wave, breath, gait, square, trapezoid, staircase, saw, charge,
        ringing, smooth, polygon, motif, spikes, office_hours, plateau, arch, chirp, rough,
    )
}  # fmt: skip

_WEIGHTS = dict.fromkeys(SHAPES, 1.0) | {
    "fourier": 2.0,
    "heartbeat": 2.0,
    "smooth": 2.0,
    "motif": 2.0,
    "sine": 1.5,
}


def draw_shape(rng: np.random.Generator, name: str | None = None) -> Array:
    """Return the table (TABLE,) of one shape, drawn by name or at random; mean 0, variance 1."""
    table = standardise(SHAPES[name or pick(rng, _WEIGHTS)](rng))
    return table if table.any() else standardise(np.sin(2 * np.pi * PHASE))


def vary_shape(rng: np.random.Generator, table: Array, amount: float) -> Array:
    """Return a relative of `table`: warped, scaled, and with a smooth random part of size `amount`."""
    warp = amount * 0.1 * np.sin(2 * np.pi * (PHASE + rng.random()))
    moved = read_table(table, PHASE + warp)
    return moved * (1 + 0.5 * amount * rng.standard_normal()) + amount * standardise(smooth(rng)) * 0.5


def read_table(table: Array, phase: Array) -> Array:
    """Return `table` read at `phase` (any real number, taken modulo 1), linearly interpolated."""
    position = (phase % 1.0) * TABLE
    left = position.astype(np.int64) % TABLE
    part = position - np.floor(position)
    return table[left] * (1 - part) + table[(left + 1) % TABLE] * part
