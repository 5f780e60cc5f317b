"""A pool of series in memory, with and without their anomalies, that is renewed while it is read.

Making a series costs far less than learning from it once, and cutting a window out of the pool costs nothing:
a fifth of the points that a step reads are new, the others are seen in other windows.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vetime_plugins.errors import InputError
from vetime_plugins.network.phases import Windows, compress, make_windows
from vetime_plugins.series.period import find_period
from vetime_plugins.synthesis import generate, inject

Array = NDArray[np.float64]

_OVERHANG = 64
_NO_PERIOD = 0.1
_CLEAN = 0.2
_NOISY = 0.2
_MOST_ANOMALIES = 7
_STRETCHED, _LOG_STRETCH = 0.5, 0.7


class _Place(NamedTuple):
    """Where a series lies in the pool, its period and its standard deviation."""

    start: int
    stop: int
    period: int
    spread: float


class Backgrounds:
    """Real series without labels, drawn by where they come from.

    Parameters
    ----------
    file : path
        An ``.npz`` file of 1-D arrays with keys ``SOURCE/NAME``. A source is drawn in proportion to the
        square root of its points, then one of its series.

    Raises
    ------
    InputError
        If the file cannot be read or holds something else.
    """

    def __init__(self, file: str | Path) -> None:
        sources: dict[str, list[Array]] = {}
        try:
            with np.load(file, allow_pickle=False) as found:
                for key in found.files:
                    sources.setdefault(key.split("/")[0], []).append(found[key].astype(np.float64))
        except (OSError, ValueError) as error:
            raise InputError(f"backgrounds need an .npz file of arrays of numbers, got {file}") from error
        every = [one for source in sources.values() for one in source]
        if not every or any(one.ndim != 1 or not np.isfinite(one).all() for one in every):
            raise InputError(f"{file} needs one or more 1-D arrays of finite numbers")
        self._sources = list(sources.values())
        weights = np.sqrt([sum(map(len, source)) for source in self._sources])
        self._shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator, length: int) -> tuple[Array, Array]:
        """Return about `length` steps of a real series, with injected anomalies and without.

        Half of them are stretched or squeezed in time, a fifth gets some noise, a fifth no anomaly.
        """
        source = self._sources[rng.choice(len(self._sources), p=self._shares)]
        series = source[int(rng.integers(len(source)))]
        factor = float(np.exp(rng.uniform(-_LOG_STRETCH, _LOG_STRETCH))) if rng.random() < _STRETCHED else 1.0
        length = min(len(series), int(length * factor))
        start = int(rng.integers(0, len(series) - length + 1))
        clean = series[start : start + length]
        if factor != 1.0:
            clean = np.interp(np.arange(0, length - 1, factor), np.arange(length), clean)
        if rng.random() < _NOISY:
            clean = clean + rng.normal(size=len(clean)) * clean.std() * 10 ** rng.uniform(-2.5, -0.5)
        if rng.random() < _CLEAN:
            return clean, clean
        count, seed = int(rng.integers(1, _MOST_ANOMALIES + 1)), int(rng.integers(2**31))
        try:
            one = inject(clean, n=count, density=0.1, severity=(0.0, 1.0), seed=seed)
        except InputError:  # a piece in which nothing can be seen, such as a constant
            return clean, clean
        return one.values[:, 0].astype(np.float64), one.clean[:, 0].astype(np.float64)


class Pool:
    """Series one behind the other; the newest overwrites the oldest.

    Parameters
    ----------
    points : int
        Steps that fit.
    lengths : tuple of int
        Range of the lengths, log-uniform.
    rng : numpy.random.Generator
    backgrounds : Backgrounds, optional
    real_share : float
        Share of the series that are real ones.
    """

    def __init__(
        self,
        points: int,
        lengths: tuple[int, int],
        rng: np.random.Generator,
        backgrounds: Backgrounds | None = None,
        real_share: float = 0.0,
    ) -> None:
        if points < lengths[1]:
            raise InputError(f"a pool needs room for its longest series of {lengths[1]} steps, got {points}")
        self.rng, self.lengths = rng, lengths
        self.backgrounds, self.real_share = backgrounds, real_share
        self._values, self._clean = torch.zeros(points), torch.zeros(points)
        self._places: deque[_Place] = deque()
        self._end = 0
        while self.add():
            pass

    def add(self) -> int:
        """Put a new series in; return its length, or 0 where it went to the start of the memory."""
        values, clean = self._draw()
        turned = self._end + len(values) > len(self._values)
        start = 0 if turned else self._end
        stop = start + len(values)
        self._places = deque(p for p in self._places if p.stop <= start or p.start >= stop)
        self._values[start:stop] = torch.from_numpy(values)
        self._clean[start:stop] = torch.from_numpy(clean)
        self._places.append(_Place(start, stop, find_period(values), float(values.std()) + 1e-8))
        self._end = stop
        return 0 if turned else len(values)

    def draw(self, count: int, length: int) -> tuple[Windows, Tensor]:
        """Return windows of `length` steps and their values without anomalies, (B, L) in the same unit."""
        sizes = np.array([place.stop - place.start for place in self._places], dtype=np.float64)
        chosen = self.rng.choice(len(sizes), size=count, p=sizes / sizes.sum())
        places = np.array([self._places[i][:3] for i in chosen])
        first, stop, periods = places.T
        # Some windows reach over the ends of a long series; a short one is at the start of its window.
        latest = np.maximum(first - _OVERHANG + 1, stop - length + _OVERHANG)
        starts = np.where(stop - first <= length, first, self.rng.integers(first - _OVERHANG, latest))
        periods = np.where(self.rng.random(count) < _NO_PERIOD, 1, periods)
        spread = torch.tensor([self._places[i].spread for i in chosen], dtype=torch.float32)
        begin, low, high, period = (torch.from_numpy(part) for part in (starts, first, stop, periods))
        windows = make_windows(self._values, begin, (low, high), period, spread, length)
        steps = (begin[:, None] + torch.arange(length)).clamp(0, len(self._clean) - 1)
        return windows, compress((self._clean[steps] - windows.centre) / windows.scale)

    def _draw(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = self.rng
        length = int(np.exp(rng.uniform(*np.log(self.lengths))))
        if self.backgrounds is not None and rng.random() < self.real_share:
            values, clean = self.backgrounds.draw(rng, length)
        else:
            one = generate(length, 1, seed=int(rng.integers(2**62)))
            values, clean = one.values[:, 0].astype(np.float64), one.clean[:, 0].astype(np.float64)
        # Either sign and direction of time is as likely as the other.
        mean, factor = values.mean(), rng.choice([-1.0, 1.0]) / (values.std() + 1e-9)
        step = -1 if rng.random() < 0.5 else 1
        both = ((part - mean) * factor for part in (values, clean))
        first, second = (np.ascontiguousarray(part[::step], dtype=np.float32) for part in both)
        return first, second
