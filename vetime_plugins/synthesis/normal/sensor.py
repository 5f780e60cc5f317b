"""The last stage of a sensor: limits, resolution, held and missing readings.

Normal and anomalous behaviour pass the same sensor, so that no anomaly can be told by values that the sensor
could not have put out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vetime_plugins.synthesis._random import Array, chance, log_uniform


@dataclass(frozen=True)
class Sensor:
    """What happens to a physical value before it is stored.

    Attributes
    ----------
    low, high : float
        Saturation limits; infinite where there are none.
    step : float
        Resolution, 0 for none; readings are multiples of it, counted from `origin`.
    origin : float
        A value that the sensor can put out.
    source : ndarray of shape (T,), optional
        For every step the step whose reading is stored (held readings repeat an earlier one).
    missing : ndarray of bool, shape (T,), optional
        Steps whose reading is NaN.
    """

    low: float = -np.inf
    high: float = np.inf
    step: float = 0.0
    origin: float = 0.0
    source: np.ndarray | None = None
    missing: np.ndarray | None = None

    def read(self, values: Array) -> Array:
        """Return saturated and quantised `values` of any shape; held and missing readings are left alone."""
        if self.low > -np.inf or self.high < np.inf:
            values = np.clip(values, self.low, self.high)
        if self.step > 0:
            values = self.origin + self.step * np.round((values - self.origin) / self.step)
        return values

    def store(self, values: Array) -> Array:
        """Return the stored series (T,) of the physical one (T,)."""
        values = self.read(values)
        if self.source is not None:
            values = values[self.source]
        if self.missing is not None:
            values = np.where(self.missing, np.nan, values)
        return values

    def affine(self, scale: float, offset: float) -> Sensor:
        """Return the same sensor for values multiplied by `scale` (above 0) and moved by `offset`."""
        return replace(
            self,
            low=self.low * scale + offset,
            high=self.high * scale + offset,
            step=self.step * scale,
            origin=self.origin * scale + offset,
        )


def draw_resolution(rng: np.random.Generator, sensor: Sensor, values: Array) -> Sensor:
    """Give a sensor a coarse or fine resolution, or saturate it within the range of `values`."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return sensor
    if sensor.step == 0 and chance(rng, 0.2):
        sensor = replace(sensor, step=(high - low) / log_uniform(rng, 8, 400), origin=low)
    if chance(rng, 0.06):
        quantile = np.quantile(values, [rng.uniform(0.0, 0.15), rng.uniform(0.85, 1.0)])
        if quantile[1] - quantile[0] > 0.3 * (high - low):
            side = rng.integers(3)
            bottom, top = sensor.read(quantile)  # a limit is a reading, too
            sensor = replace(
                sensor,
                low=max(sensor.low, float(bottom)) if side != 1 else sensor.low,
                high=min(sensor.high, float(top)) if side != 0 else sensor.high,
            )
    return sensor


def draw_gaps(rng: np.random.Generator, sensor: Sensor, length: int, *, nan: bool) -> Sensor:
    """Add stretches without readings: NaN, or the last reading held. Several, so that they are normal.

    Held ones are short and many: a single long one would be a stuck sensor, hence an anomaly.
    """
    if nan:
        count, mean = (
            int(rng.integers(2, 3 + max(1, length // 700))),
            log_uniform(rng, 1.5, 0.006 * length + 4),
        )
    else:
        count, mean = int(rng.integers(4, 6 + length // 200)), log_uniform(rng, 1.5, 6.0)
    width = np.maximum(1, rng.geometric(1 / mean, count))
    begin = rng.integers(1, max(2, length - 1), count)
    marks = np.zeros(length + 1, dtype=np.int64)
    np.add.at(marks, begin, 1)
    np.add.at(marks, np.minimum(begin + width, length), -1)
    gone = np.cumsum(marks)[:length] > 0
    if nan:
        return replace(sensor, missing=gone)
    return replace(sensor, source=np.maximum.accumulate(np.where(gone, 0, np.arange(length))))
