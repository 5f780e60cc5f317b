"""Any candidate of a selection as a detector with PyOD's interface.

Detectors derive from PyOD's `BaseDetector` where PyOD is installed. Without it they have ``fit``,
``decision_function``, ``predict``, ``fit_predict``, ``get_params`` and ``set_params`` all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins._arguments import check_seed
from vetime_plugins.errors import InputError
from vetime_plugins.metrics import find_buffer
from vetime_plugins.selection.candidates import VETIME, Fitted, resolve
from vetime_plugins.series.guards import warn_of_doubtful
from vetime_plugins.series.inputs import as_series
from vetime_plugins.thresholds import check_rule

if TYPE_CHECKING:
    from vetime_plugins.selection.plain import PlainBase as _Base

    _NotFitted = InputError
else:
    try:
        from sklearn.exceptions import NotFittedError

        from vetime_plugins.adapters._pyod_base import SeriesBase as _Base
    except ImportError:
        from vetime_plugins.selection.plain import PlainBase as _Base

        _NotFitted = InputError
    else:

        class _NotFitted(InputError, NotFittedError):
            """What scikit-learn's tools and those of this package look for."""


__all__ = ["CandidateDetector", "SeriesDetector"]


class SeriesDetector(_Base):
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
        self._check_fitted()
        values = as_series(X, "X").with_gaps
        if values.shape[1] != self.n_features_in_:
            raise InputError(
                f"{type(self).__name__} was fitted on {self.n_features_in_} variable(s), got "
                f"{values.shape[1]}; pass the same ones or fit again"
            )
        return self._fitted.score(values)

    def _check_fitted(self) -> None:
        if not hasattr(self, "decision_scores_"):
            raise _NotFitted(f"{type(self).__name__} has not seen a series yet; call fit first")

    def adopt(self, fitted: Fitted, n_variables: int) -> Self:
        """Take over what has been fitted on so many variables, and set threshold and labels on its scores."""
        self._fitted = fitted
        self.n_features_in_ = n_variables
        self.decision_scores_ = fitted.scores
        self._set_n_classes(None)
        self._process_decision_scores()
        return self


class CandidateDetector(SeriesDetector):
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
        series = as_series(X, "X")
        warn_of_doubtful([series])
        values = series.with_gaps
        candidate = resolve(self.candidate, weights=self.weights, device=self.device)
        return self.adopt(candidate.fit(values, find_buffer(values), self.random_state), values.shape[1])
