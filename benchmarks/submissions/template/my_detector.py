"""How far a point lies from the median of the points around it: the template of a detector."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter


class DistanceToLocalMedian:
    """Scores a point by its distance to the median of `window` points around it; the largest of variables."""

    name = "distance-to-local-median"
    framework = "template"
    sees_train = False  # True: it is fitted on the first train_length points
    supports_multivariate = True
    trained_on: ClassVar[tuple[str, ...]] = ()  # data sets or tasks that its weights have seen
    tuned_on: ClassVar[tuple[str, ...]] = ()  # those that its rules or parameters were chosen on

    def __init__(self, window: int = 25) -> None:
        self.window = window

    @property
    def params(self) -> dict[str, Any]:
        """What tells two runs apart; other ones are other results."""
        return {"window": self.window}

    def versions(self) -> dict[str, str]:
        """Change it when the scores change: then results are made anew."""
        return {"distance-to-local-median": "1", "numpy": np.__version__}

    def fit_score(
        self, values: ArrayLike, train_length: int, period: int | None = None, seed: int = 0
    ) -> NDArray[np.float64]:
        """Return one finite score a point, (T,), of a series (T, C); NaN in it is a gap."""
        series = np.nan_to_num(np.asarray(values, dtype=np.float64).reshape(len(values), -1))
        scale = series.std(axis=0) + 1e-12
        distance = np.abs(series - median_filter(series, size=(self.window, 1), mode="nearest")) / scale
        return distance.max(axis=1)


def make() -> DistanceToLocalMedian:
    """Return the detector as the leaderboard is to run it."""
    return DistanceToLocalMedian()
