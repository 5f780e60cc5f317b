"""What a detector inherits where PyOD is installed: its base class, made to score a series once a call."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyod.models.base import BaseDetector
from sklearn.exceptions import NotFittedError

from vetime_plugins.errors import InputError
from vetime_plugins.thresholds import find_threshold

__all__ = ["PyODBase"]


class _NotFitted(InputError, NotFittedError):
    """What scikit-learn's tools and those of this package look for."""


class PyODBase(BaseDetector):
    """PyOD's `BaseDetector` for series, with the threshold rules of this package.

    The base scores X again for each thing that it derives from the scores, and asks lists for their
    ``.shape``. Here it is handed the scores in place of X.
    """

    _NOT_FITTED = _NotFitted

    threshold: str | float

    def predict(self, X: ArrayLike, return_confidence: bool = False) -> Any:
        """Label each row of a series: 1 where its score is greater than ``threshold_``, else 0.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
        return_confidence : bool, default False
            Also return `predict_confidence` (n,).

        Returns
        -------
        ndarray of shape (n,), int, or a pair of it and an ndarray of shape (n,)
        """
        return self._on_scores().predict(self.decision_function(X), return_confidence)

    def predict_proba(self, X: ArrayLike, method: str = "linear", return_confidence: bool = False) -> Any:
        """Turn the scores of a series into probabilities of being normal and of being anomalous.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
        method : {"linear", "unify"}, default "linear"
            Min-max scaling by ``decision_scores_``, or the error function of the standardized score.
        return_confidence : bool, default False
            Also return `predict_confidence` (n,).

        Returns
        -------
        ndarray of shape (n, 2), or a pair of it and an ndarray of shape (n,)
        """
        return self._on_scores().predict_proba(self.decision_function(X), method, return_confidence)

    def predict_confidence(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return how sure each label of a series is, (n,) in [0, 1]; see PyOD's base class."""
        confidence: NDArray[np.float64] = self._on_scores().predict_confidence(self.decision_function(X))
        return confidence

    def predict_with_rejection(self, X: ArrayLike, *args: Any, **kwargs: Any) -> Any:
        """Label each row of a series, -2 where the label is not sure enough; see PyOD's base class."""
        return self._on_scores().predict_with_rejection(self.decision_function(X), *args, **kwargs)

    def _process_decision_scores(self) -> Self:
        super()._process_decision_scores()
        self._classes = 2  # the base counts the values of y, and fails later where y holds only one
        if self.threshold != "quantile":
            self.threshold_ = find_threshold(self.decision_scores_, self.threshold)
            self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _on_scores(self) -> BaseDetector:
        from vetime_plugins.adapters.pyod import OnScores

        return OnScores(self)
