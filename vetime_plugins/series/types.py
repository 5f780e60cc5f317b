"""What users hold, as types for signatures: one series, or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Array(Protocol):
    """What numpy turns into an array with rows: arrays, tensors, Series and DataFrames of any library."""

    def __array__(self) -> NDArray[Any]: ...

    def __len__(self) -> int: ...  # a single number of numpy has `__array__` too


Number = float | np.number[Any] | np.bool_ | None
OneSeries = Array | Sequence[Number] | Sequence[Sequence[Number]]
ManySeries = Sequence[Array] | Sequence[Sequence[Sequence[Number]]]
