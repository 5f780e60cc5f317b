"""What the generators give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Anomaly(NamedTuple):
    """One anomaly: its kind, its span ``[start, stop)`` and the variables that it touches."""

    kind: str
    start: int
    stop: int
    variables: tuple[int, ...]


@dataclass(frozen=True)
class SyntheticSeries:
    """A series with known anomalies, and the same series without them.

    Attributes
    ----------
    values : ndarray of shape (T, C)
        The series with its anomalies; NaN where a reading is missing.
    clean : ndarray of shape (T, C)
        The same series, with the same noise, had nothing happened; what a lasting change leaves behind (a
        new level, a delay) belongs to it. Equal to `values` wherever `variable_labels` is 0, bit by bit.
    labels : ndarray of uint8, shape (T,)
        1 where any variable is anomalous.
    variable_labels : ndarray of uint8, shape (T, C)
        1 where this variable is anomalous.
    kinds : tuple of Anomaly
        In order of time; spans are those of the labels.
    variable_severity : ndarray of float32, shape (T, C)
        ``abs(values - clean)`` over the clean variable's local standard deviation (in a window of one period,
        or of a 32nd of the series; never below a fifth of the overall one); 0 outside `variable_labels`.
    period : float or None
        Length of the shortest cycle that carries a shape, in steps; None where there is none.
    family : str
        The family of normal behaviour, or "user" for an array given to `inject`.
    """

    values: NDArray[np.floating]
    clean: NDArray[np.floating]
    labels: NDArray[np.uint8]
    variable_labels: NDArray[np.uint8]
    kinds: tuple[Anomaly, ...]
    variable_severity: NDArray[np.float32]
    period: float | None = None
    family: str = ""

    @property
    def severity(self) -> NDArray[np.float32]:
        """The largest `variable_severity` of each step, (T,)."""
        return self.variable_severity.max(axis=1)

    @property
    def n_variables(self) -> int:
        """C."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        """T."""
        return int(self.values.shape[0])
