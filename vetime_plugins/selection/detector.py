"""Detectors with PyOD's interface: any candidate, and the one that is selected for the series at hand.

They derive from PyOD's `BaseDetector` where PyOD is installed. Without it they have ``fit``,
``decision_function``, ``predict``, ``fit_predict``, ``get_params`` and ``set_params`` all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins.errors import InputError
from vetime_plugins.metrics import find_buffer
from vetime_plugins.selection.candidates import VETIME, Fitted, resolve
from vetime_plugins.selection.report import Selection
from vetime_plugins.series.inputs import as_float64, as_series
from vetime_plugins.thresholds import check_rule

if TYPE_CHECKING:
    from vetime_plugins.selection.plain import PlainBase as _Base
else:
    try:
        from vetime_plugins.selection.pyod_base import PyODBase as _Base
    except ImportError:
        from vetime_plugins.selection.plain import PlainBase as _Base

__all__ = ["CandidateDetector", "SelectedDetector"]


class _SeriesDetector(_Base):
    """A detector that has seen one series and scores series of the same variables."""

    _fitted: Fitted

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score each row of a series.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
            One series of the variables that `fit` was given; rows in time order, NaN marks a gap.

        Returns
        -------
        ndarray of shape (n,), float64
            Finite, higher is more anomalous.

        Raises
        ------
        InputError
            Before `fit` (where PyOD is installed also a `sklearn.exceptions.NotFittedError`), or if X is not
            one series of these variables.

        Notes
        -----
        A detector of the leaderboard, which knows no other way, is fitted again on the rows that `fit` was
        given and scores X as what follows them.
        """
        if not hasattr(self, "decision_scores_"):
            raise self._NOT_FITTED(f"{type(self).__name__} has not seen a series yet; call fit first")
        values = as_values(X)
        if values.shape[1] != self.n_features_in_:
            raise InputError(
                f"{type(self).__name__} was fitted on {self.n_features_in_} variable(s), got "
                f"{values.shape[1]}; pass the same ones or fit again"
            )
        return self._fitted.score(values)

    def adopt(self, fitted: Fitted, n_variables: int) -> Self:
        """Take over what has been fitted, and set threshold and labels on its scores.

        Parameters
        ----------
        fitted : Fitted
        n_variables : int
            Of the series it was fitted on.
        """
        self._fitted = fitted
        self.n_features_in_ = n_variables
        self.decision_scores_ = fitted.scores
        self._set_n_classes(None)
        self._process_decision_scores()
        return self


class CandidateDetector(_SeriesDetector):
    """Any candidate of a selection as a PyOD detector for one series.

    Parameters
    ----------
    candidate : str or object, default "vetime"
        Name or object as `vetime_plugins.selection.select_detector` takes them. An object is copied before
        it is fitted.
    weights, device : str
        Of ``"vetime"``; `device` also of detectors of the leaderboard that can use a GPU.
    threshold : {"quantile", "std", "pot"} or float, default "quantile"
        See `vetime_plugins.thresholds.find_threshold`.
    contamination : float in (0, 0.5], default 0.1
        Expected share of anomalous rows, for the rule ``"quantile"``.
    random_state : int, default 0

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n,), float64
        Scores of the rows that `fit` was given, higher is more anomalous.
    threshold_ : float
        A row is anomalous if its score is greater.
    labels_ : ndarray of shape (n,), int
        1 for the anomalous rows of `decision_scores_`, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.selection import CandidateDetector
    >>> series = np.sin(np.arange(400) / 4)
    >>> series[200] += 3
    >>> detector = CandidateDetector("sub-knn", contamination=0.05).fit(series)
    >>> int(detector.labels_[195:206].sum() > 0)
    1
    """

    def __init__(
        self,
        candidate: Any = VETIME,
        weights: str = "small",
        device: str = "auto",
        threshold: str | float = "quantile",
        contamination: Any = 0.1,
        random_state: int = 0,
    ) -> None:
        super().__init__(contamination=contamination)
        self.candidate = candidate
        self.weights = weights
        self.device = device
        self.threshold = threshold
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Fit the candidate on one series and set the threshold on its scores.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
        y : object
            Not used.

        Raises
        ------
        InputError
            If X is not one series, or the candidate is unknown. What the candidate itself raises is passed
            on.
        """
        check_rule(self.threshold)
        check_seed(self.random_state)
        values = as_values(X)
        candidate = resolve(self.candidate, weights=self.weights, device=self.device)
        return self.adopt(candidate.fit(values, find_buffer(values), self.random_state), values.shape[1])


class SelectedDetector(_SeriesDetector):
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
        from vetime_plugins.selection.select import select_detector

        self.selection_: Selection = select_detector(as_values(X), **self.get_params(deep=False))
        self.detector_: CandidateDetector = self.selection_.detector
        return self.adopt(self.detector_._fitted, self.detector_.n_features_in_)


def as_values(X: ArrayLike, what: str = "X") -> NDArray[np.float64]:
    """Return one series as (n, C) float64 with its gaps; errors call it `what`."""
    rows = len(as_series(X, what))
    return as_float64(X, what).astype(np.float64).reshape(rows, -1)


def check_seed(random_state: int) -> None:
    """Raise `InputError` for what is no seed: None would make the choice another one each time."""
    if not isinstance(random_state, Integral) or not 0 <= random_state < 2**32:
        raise InputError(f"random_state must be a whole number from 0 to 2**32 - 1, got {random_state!r}")
