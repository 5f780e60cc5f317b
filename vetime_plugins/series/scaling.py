"""From any unit to that of the network and back, so that the unit leaves no trace in what is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.series.inputs import extent

_GRID = 2.0**20
"""Steps of standardised values in one standard deviation: far finer than any score tells apart."""
_LARGEST = np.finfo(np.float64).max
_CONSTANT_STD = 1e-8
"""What stands for the deviation of a variable that never changes, as in the authors' code."""


@dataclass(frozen=True)
class Scaling:
    """Standardisation by mean and population deviation, the same in every unit.

    A power of two, which changes no digit, first brings each variable into a range in which squares neither
    overflow nor vanish. `mean` and `std` are of what it makes of the series. All are (C,).
    """

    exponents: NDArray[np.intp]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def of_values(cls, values: NDArray[np.float64]) -> Scaling:
        """Return that of finite columns (T, C); a constant one becomes zeros."""
        exponents, varies = extent(values)
        columns = np.ascontiguousarray(np.ldexp(values, exponents).T)  # one layout, so one order of sums
        mean = columns.mean(axis=1)
        mean += (columns - mean[:, None]).mean(axis=1)  # what the first sum lost
        std = np.sqrt(np.square(columns - mean[:, None]).mean(axis=1))
        return cls(exponents, mean, np.where(varies, std, _CONSTANT_STD))

    def exact(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in the unit of the network, with all their digits."""
        return (np.ldexp(values, self.exponents) - self.mean) / self.std

    def standardise(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values in the unit of the network, rounded to steps of 2**-20 deviations.

        A change of the unit rounds every value in its 16th digit. Rounded to steps, nearly all values are the
        same to the bit whatever the unit, and so is what is found among them: ties stay ties.
        """
        return np.round(self.exact(values) * _GRID) / _GRID

    def restore(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the network says in the unit of the series, no farther out than floats reach."""
        with np.errstate(over="ignore"):
            values = np.ldexp(z * self.std + self.mean, -self.exponents)
        return np.clip(values, -_LARGEST, _LARGEST)

    def select(self, columns: slice) -> Scaling:
        """Return that of some variables."""
        return Scaling(self.exponents[columns], self.mean[columns], self.std[columns])
