"""PyOD's base class, made to score a series once a call, with the threshold rules of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyod.models.base import BaseDetector
from sklearn.utils.validation import check_is_fitted

from vetime_plugins._arguments import is_real
from vetime_plugins.errors import InputError
from vetime_plugins.thresholds import check_contamination, find_threshold

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

__all__ = ["OnScores", "SeriesBase"]


class SeriesBase(BaseDetector):
    """PyOD's `BaseDetector` for series.

    The base scores X again for each thing that it derives from the scores, and asks lists for their
    ``.shape``. Here it is handed the scores in place of X. Subclasses have a parameter `threshold` besides
    `contamination`, and implement `fit` and `decision_function`.
    """

    threshold: str | float
    contamination: Any  # a share, or an object that finds a threshold

    def predict(self, X: ArrayLike, return_confidence: bool = False) -> Any:
        """Label each row of a series: 1 where its score is greater than `threshold_`, else 0.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
            One series of the variables that `fit` was given.
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
            One series of the variables that `fit` was given.
        method : {"linear", "unify"}, default "linear"
            Min-max scaling by `decision_scores_`, or the error function of the standardized score.
        return_confidence : bool, default False
            Also return `predict_confidence` (n,).

        Returns
        -------
        ndarray of shape (n, 2), or a pair of it and an ndarray of shape (n,)
        """
        if method not in ("linear", "unify"):
            raise InputError(f'method must be "linear" or "unify", got {method!r}')
        return self._on_scores().predict_proba(self.decision_function(X), method, return_confidence)

    def predict_confidence(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return how sure each label is, as the share of similar training sets that would give the same one.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
            One series of the variables that `fit` was given.

        Returns
        -------
        ndarray of shape (n,), float64
            Confidence in [0, 1] (Perini, Vercruyssen, Davis, "Quantifying the Confidence of Anomaly
            Detectors in Their Example-Wise Predictions", ECML PKDD 2020).
        """
        return self._on_scores().predict_confidence(self.decision_function(X))

    def predict_with_rejection(
        self,
        X: ArrayLike,
        T: float = 32,
        return_stats: bool = False,
        delta: float = 0.1,
        c_fp: float = 1,
        c_fn: float = 1,
        c_r: float = -1,
    ) -> Any:
        """Label each row of a series, or give it -2 where the label is not sure enough.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
            One series of the variables that `fit` was given.
        T : float, default 32
            Labels whose confidence is at most ``1 - 2 * exp(-T)`` are rejected.
        return_stats : bool, default False
            Also return a list: expected rejection rate, its upper bound, upper bound of the cost.
        delta : float in (0, 1), default 0.1
            The upper bound of the rejection rate holds with probability ``1 - delta``.
        c_fp, c_fn, c_r : float
            Cost of a false positive, a false negative, a rejection. A negative `c_r` stands for the share
            of rows that the threshold flags.

        Returns
        -------
        ndarray of shape (n,), int, or a pair of it and a list of three floats
        """
        scored = self._on_scores()
        scores = self.decision_function(X)
        result = scored.predict_with_rejection(scores, T, return_stats, delta, c_fp, c_fn, c_r)
        self.rejection_threshold_ = scored.rejection_threshold_
        return result

    def compute_rejection_stats(self, *args: Any, **kwargs: Any) -> tuple[float, float, float]:
        """Return expected rejection rate, its upper bound, and that of the cost, see the base class."""
        return self._on_scores().compute_rejection_stats(*args, **kwargs)

    def _predict_rank(self, X: ArrayLike, normalized: bool = False) -> NDArray[Any]:
        ranks = super()._predict_rank(X)
        # The base divides by the largest rank, which is 0 where no score exceeds those of `fit`.
        return ranks / max(ranks.max(), 1) if normalized else ranks

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_fitted(self) -> None:
        """Raise a `sklearn.exceptions.NotFittedError` before `fit`."""
        check_is_fitted(self, ["decision_scores_", "threshold_", "labels_"])

    def _process_decision_scores(self) -> Self:
        given = self.contamination
        if is_real(given):  # PyOD takes numbers of numpy for an object that finds a threshold
            check_contamination(given)
            self.contamination = float(given)
        try:
            super()._process_decision_scores()
        finally:
            self.contamination = given
        if np.ptp(self.decision_scores_) == 0:
            # "unify" divides by the deviation of the scores: what exceeds equal ones is as sure as can be.
            self._mu, self._sigma = self.decision_scores_[0], np.finfo(np.float64).eps
        self._classes = 2  # the base counts the values of y, and fails later where y holds only one
        if self.threshold != "quantile":
            self.threshold_ = find_threshold(self.decision_scores_, self.threshold)
            self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def _on_scores(self) -> OnScores:
        self._check_fitted()
        return OnScores(self)


class OnScores(BaseDetector):
    """A fitted detector whose data are scores already.

    The base's methods score X again for each thing they derive from the scores, and ask lists for their
    ``.shape``. Given the scores in place of X they do neither.
    """

    def __init__(self, detector: SeriesBase) -> None:
        self.__dict__.update(detector.__dict__)
        if is_real(detector.contamination):
            self.contamination = float(detector.contamination)
        if detector.threshold != "quantile":
            # Confidence and rejection count on the share of rows that the threshold flags being
            # `contamination`. The next float up, because they truncate share * n to the count.
            share = max(int(detector.labels_.sum()), 1) / len(detector.labels_)
            self.contamination = float(np.nextafter(share, 1))

    def fit(self, X: Any, y: Any = None) -> Self:
        raise NotImplementedError("the detector is fitted already")

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return X
