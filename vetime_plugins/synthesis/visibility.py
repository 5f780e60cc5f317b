"""Can a change be told from normal behaviour? What cannot is no anomaly and gets no label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vetime_plugins.synthesis._random import Array
from vetime_plugins.synthesis.measure import jumpiness, local_scale, noise_level, novelty

POINTS = 3  # up to so many steps an anomaly is judged by its neighbours, beyond by its shape


@dataclass(frozen=True)
class Facts:
    """What a clean variable does, as its sensor shows it.

    Attributes
    ----------
    seen : ndarray of shape (T,)
    noise : float
        Robust standard deviation of the roughness.
    spike : float
        How far a point stands off the mean of its neighbours at most (99.8 % quantile).
    low, high : float
        Range.
    scale : ndarray of shape (T,)
        Local standard deviation.
    tolerance : float
        Differences up to this are not labelled: a quarter of the noise, or a thousandth of the scale.
    """

    seen: Array
    noise: float
    spike: float
    low: float
    high: float
    scale: Array
    tolerance: float

    @classmethod
    def of(cls, seen: Array, window: int) -> Facts:
        """Return the facts of a clean variable (T,); the local scale is taken in `window` steps."""
        scale = local_scale(seen, window)
        noise = noise_level(seen)
        low, high = float(seen.min()), float(seen.max())
        # Differences that single precision cannot show are none either.
        tolerance = max(0.25 * noise, 1e-3 * float(scale.min()), 1e-6 * max(abs(low), abs(high)))
        return cls(seen, noise, jumpiness(seen), low, high, scale, tolerance)


def visible(rng: np.random.Generator, facts: Facts, new: Array, old: Array, start: int) -> bool:
    """Return whether a stretch ``new`` (n,) in place of ``old`` (n,) at `start` stands out in one variable.

    Few points must leave their neighbours farther behind than normal points do. A longer stretch must be
    farther from its nearest neighbour in the series than normal ones are, or be smoother or rougher.
    """
    largest = float(np.abs(new - old).max())
    if largest <= 2 * facts.tolerance:
        return False
    n = len(new)
    if n <= POINTS:
        return largest > max(1.1 * facts.spike, 3.5 * facts.noise)
    if n <= 4 * POINTS and float(np.abs(new - old).mean()) < 2.5 * facts.noise:
        return False  # in so short a window chance alone makes noise look novel
    segment = facts.seen[start : start + n] + new - old
    return novelty(rng, facts.seen, segment, start, margin=max(3, n // 4)) > 1 or _texture(
        facts.seen, new, old
    )


def _texture(seen: Array, new: Array, old: Array) -> bool:
    """Return whether the stretch is smoother or rougher than (almost) any other one as long."""
    n = len(new)
    if n < 8 or len(seen) < 4 * n:
        return False
    total = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(seen)))])
    usual = (total[n - 1 :] - total[: -(n - 1)])[:: max(1, n // 4)]
    now, before = float(np.abs(np.diff(new)).sum()), float(np.abs(np.diff(old)).sum())
    low, high = np.quantile(usual, [0.02, 0.98])
    return now < min(0.7 * before, 0.85 * float(low)) or now > max(1.4 * before, 1.15 * float(high))


def unrelated(facts: Facts, partner: Array, new: Array, old: Array, start: int) -> bool:
    """Return whether a stretch no longer follows a `partner` (T,) with which the variable usually goes."""
    if float(np.abs(new - old).max()) <= 2 * facts.tolerance:
        return False
    x = partner - partner.mean()
    y = facts.seen - facts.seen.mean()
    rest = y - (x @ y) / max(float(x @ x), 1e-300) * x
    part = rest[start : start + len(new)]
    usual, before, now = (float(np.sqrt(np.mean(r**2))) for r in (rest, part, part + new - old))
    return now > max(1.3 * usual, 1.5 * before)
