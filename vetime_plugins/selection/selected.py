"""The selection as a detector with PyOD's interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from numpy.typing import ArrayLike

from vetime_plugins.selection.detector import CandidateDetector, SeriesDetector
from vetime_plugins.selection.report import Selection
from vetime_plugins.selection.select import select_detector
from vetime_plugins.series.inputs import as_series

__all__ = ["SelectedDetector"]


class SelectedDetector(SeriesDetector):
    """A detector that selects, when it is fitted, the best of several for the series at hand.

    A step of an automatic pipeline: `fit` runs `vetime_plugins.selection.select_detector`, and from then on
    this is the winner.

    Parameters
    ----------
    candidates, budget, n_trials, max_points, default, threshold, contamination, weights, device, random_state
        As in `vetime_plugins.selection.select_detector`.

    Attributes
    ----------
    selection_ : Selection
        What was chosen, and why.
    detector_ : CandidateDetector
        The winner.
    decision_scores_ : ndarray of shape (n,), float64
        Its scores of the rows that `fit` was given, higher is more anomalous.
    threshold_ : float
        A row is anomalous if its score is greater.
    labels_ : ndarray of shape (n,), int
        1 for the anomalous rows of `decision_scores_`, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.selection import SelectedDetector
    >>> series = np.sin(np.arange(400) / 4)
    >>> series[200:205] = 0
    >>> detector = SelectedDetector(["sub-knn", "moving-variance"], budget=None, n_trials=3).fit(series)
    >>> detector.selection_.name in ("sub-knn", "moving-variance")
    True
    """

    def __init__(
        self,
        candidates: Iterable[Any] | None = None,
        budget: float | None = 60.0,
        n_trials: int = 8,
        max_points: int | None = 20_000,
        default: str | None = None,
        threshold: str | float = "quantile",
        contamination: Any = 0.1,
        weights: str = "small",
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        super().__init__(contamination=contamination)
        self.candidates = candidates
        self.budget = budget
        self.n_trials = n_trials
        self.max_points = max_points
        self.default = default
        self.threshold = threshold
        self.weights = weights
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Select a detector for one series and take over its scores, threshold and labels.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
        y : object
            Not used: no labels are needed.

        Raises
        ------
        InputError
            As `select_detector` does.
        """
        self.selection_: Selection = select_detector(as_series(X, "X"), **self.get_params(deep=False))
        self.detector_: CandidateDetector = self.selection_.detector
        return self.adopt(self.detector_._fitted, self.detector_.n_features_in_)
