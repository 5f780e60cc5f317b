"""VETime as a PyOD detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vetime_plugins._arguments import is_real
from vetime_plugins.adapters._adengine import KNOWLEDGE, add_algorithm
from vetime_plugins.adapters._shared import (
    check_max_reference,
    check_width,
    latest,
    load_pipeline,
    missing_dependency,
    telling,
)
from vetime_plugins.errors import InputError
from vetime_plugins.series.inputs import Series, as_series
from vetime_plugins.thresholds import check_contamination, check_rule

try:
    from vetime_plugins.adapters._pyod_base import SeriesBase
except ImportError as error:
    raise missing_dependency("VETime for PyOD", "pyod>=3.6.2", "pyod") from error

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray
    from pyod.utils.ad_engine import ADEngine

    from vetime_plugins.incidents import Incidents
    from vetime_plugins.series.types import OneSeries

__all__ = ["VETime", "register_with_adengine"]


class VETime(SeriesBase):
    """Zero-shot anomaly detector for one time series: one score in [0, 1] for each row.

    The rows of X are the time steps of one series, in order; its columns are the variables. The network
    was trained once and for all and `fit` never changes it: `fit` keeps the latest rows as the reference
    with which later data are compared, and sets `threshold_` on the scores of all rows. To score many
    series, use one detector for each, or `vetime_plugins.VETimePipeline`, which takes a list of series.

    Parameters
    ----------
    weights : str or path, default "small"
        Name of bundled weights, or a folder that holds weights. The estimator stores this alone; the
        network lives in a cache of the process and is never pickled.
    device : str, default "auto"
        Where the network runs: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``, ...
    dtype : str, default "float32"
        Floating-point type of the network's weights.
    readout : {"point", "window"} or None, default None
        Sharp scores, or scores smoothed over the period; None is the choice of the weights.
    threshold : {"auto", "quantile", "std", "pot"} or float, default "quantile"
        Rule by which `threshold_` follows from `decision_scores_`, see
        `vetime_plugins.thresholds.find_threshold`, or a fixed score. ``"quantile"`` is PyOD's own rule.
    contamination : float in (0, 0.5] or thresholder, default 0.1
        Expected share of anomalous rows, for the rule ``"quantile"``; or a thresholder of
        `pyod.models.thresholds` (any object with ``fit``, ``predict``, ``labels_`` and ``thresh_``),
        which then sets the threshold.
    max_reference : int, default 20000
        At most this many of the latest rows are kept as the reference.

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n,), float64
        Scores of the rows `fit` was given, in [0, 1], higher is more anomalous.
    threshold_ : float
        A row is anomalous if its score is greater.
    labels_ : ndarray of shape (n,), int
        1 for the anomalous rows of `decision_scores_`, else 0.
    reference_ : ndarray of shape (min(n, max_reference), C), float64
        The rows that were kept.
    n_features_in_ : int
        Number of variables C.
    feature_names_in_ : ndarray of shape (C,), object
        Column names; only if `fit` was given a DataFrame whose column names are all strings.

    Warnings
    --------
    Give the series itself to this class. Do not put it inside `pyod.models.ts_od.TimeSeriesOD`, nor inside
    Darts' ``PyODScorer`` with ``window`` > 1: both cut the series into windows and hand over a matrix with
    one row for each window and one column for each lag, which this class would read as a series of as many
    variables. Shuffled or subsampled rows (bootstrap, cross-validation with ``shuffle=True``) are no series
    either.

    Notes
    -----
    The score of a row depends on the rows around it, so scoring a part of a series differs from taking that
    part of its scores. Rows that `fit` was given too are left out of the reference while they are scored:
    they would match themselves. A NaN is a gap: it is bridged, and its row still gets a finite score.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.adapters.pyod import VETime
    >>> series = np.sin(np.arange(600) * 2 * np.pi / 50)
    >>> series[400] += 5
    >>> detector = VETime(contamination=0.01).fit(series)
    >>> detector.decision_scores_.shape
    (600,)
    """

    def __init__(
        self,
        weights: Any = "small",
        device: str = "auto",
        dtype: str = "float32",
        readout: str | None = None,
        threshold: str | float = "quantile",
        contamination: Any = 0.1,
        max_reference: int = 20_000,
    ) -> None:
        super().__init__(contamination=contamination)
        self.weights = weights
        self.device = device
        self.dtype = dtype
        self.readout = readout
        self.threshold = threshold
        self.max_reference = max_reference

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Keep the latest rows as the reference and set the threshold on the scores of all rows.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
            One series: rows are time steps in order, columns variables. Lists, arrays and DataFrames.
        y : array-like of shape (n,), optional
            Not used.

        Returns
        -------
        VETime
            This detector.

        Raises
        ------
        InputError
            A `ValueError`: if X is not one series of numbers or a parameter is outside its range.
        """
        self._check_parameters()
        series = as_series(X, "X")
        self._set_n_classes(y)
        reference = latest(series.with_gaps, self.max_reference).copy()  # no view that keeps all of X alive
        self.decision_scores_ = self._score(series, None)
        self.reference_ = reference
        self.n_features_in_ = series.n_variables
        self._keep_names(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score each row of a series against the reference.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
            One series of the variables that `fit` was given.

        Returns
        -------
        ndarray of shape (n,), float64
            Scores in [0, 1], higher is more anomalous. The data `fit` was given yield `decision_scores_`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        InputError
            If X is not one series of numbers, or its variables are not those of `fit`.
        """
        self._check_fitted()
        series = as_series(X, "X")
        check_width("VETime", self.n_features_in_, series.n_variables)
        self._check_names(X)
        return self._score(series, telling(self.reference_))

    def incidents(self, X: ArrayLike, *, threshold: str | float | None = None) -> Incidents:
        """Say what happened in a series: when, how badly, of what kind, in which variables.

        Parameters
        ----------
        X : array-like of shape (n,) or (n, C)
            One series of the variables that `fit` was given. A DataFrame gives its index and its names.
        threshold : str or float, optional
            Rule or number in place of `threshold_`. PyOD's rule flags `contamination` of any series, also
            where nothing happened: ``"auto"`` is quiet there. A rule is applied to the scores of the
            reference.

        Returns
        -------
        vetime_plugins.Incidents
            The most severe first; ``to_frame()`` makes a DataFrame of it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        InputError
            As `decision_function` does, or if `threshold` is neither a rule nor a number.
        """
        self._check_fitted()
        check_width("VETime", self.n_features_in_, as_series(X, "X").n_variables)
        self._check_names(X)
        pipeline = load_pipeline(self.weights, device=self.device, dtype=self.dtype)
        return pipeline.detect(
            cast("OneSeries", X),  # as_series has read it
            reference=telling(self.reference_),
            readout=self.readout,
            threshold=self.threshold_ if threshold is None else check_rule(threshold),
        ).incidents

    @property
    def incidents_(self) -> Incidents:
        """Incidents of the series that `fit` was given, found when asked for; positions, not its index.

        Raises
        ------
        InputError
            If the series was longer than `max_reference`, so that not all of it was kept.
        """
        self._check_fitted()
        length, kept = len(self.decision_scores_), len(self.reference_)
        if kept < length:
            raise InputError(
                f"incidents_ needs the whole series of fit, of which the latest {kept} of {length} "
                "rows were kept; pass it to incidents(X), or fit with a larger max_reference"
            )
        X = self.reference_
        if hasattr(self, "feature_names_in_"):
            import pandas as pd  # fit was given a DataFrame

            X = pd.DataFrame(X, columns=self.feature_names_in_)
        return self.incidents(X)

    def _check_parameters(self) -> None:
        check_rule(self.threshold)
        check_max_reference(self.max_reference)
        if is_real(self.contamination):
            check_contamination(self.contamination)  # again: `set_params` goes past the check of `__init__`
        elif not (hasattr(self.contamination, "fit") and hasattr(self.contamination, "predict")):
            raise InputError(
                "contamination must be a number in (0, 0.5] or a thresholder with fit and predict "
                f"(pyod.models.thresholds), got {self.contamination!r}"
            )
        elif self.threshold != "quantile":
            raise InputError(
                "a thresholder as contamination sets the threshold, which threshold would set, too; "
                f'leave threshold at "quantile", got {self.threshold!r}'
            )

    def _keep_names(self, X: Any) -> None:
        names = _column_names(X)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _check_names(self, X: Any) -> None:
        fitted, given = getattr(self, "feature_names_in_", None), _column_names(X)
        if fitted is not None and given is not None and not np.array_equal(fitted, given):
            raise InputError(
                f"VETime was fitted on the columns {list(fitted)}, got {list(given)}; pass the same columns "
                "in the same order"
            )

    def _score(self, series: Series, reference: NDArray[np.float64] | None) -> NDArray[np.float64]:
        pipeline = load_pipeline(self.weights, device=self.device, dtype=self.dtype)
        return pipeline.score(series, reference=reference, readout=self.readout)


def register_with_adengine(
    engine: ADEngine, *, name: str = "VETime", confidence: float = 0.9, **params: Any
) -> ADEngine:
    """Make VETime known to one ADEngine, so that it can plan, build, run and compare it.

    Parameters
    ----------
    engine : pyod.utils.ad_engine.ADEngine
        Changed in place: an entry in ``engine.kb.algorithms`` and a routing rule for time series. Other
        engines, also those made later, know nothing of it. Registering a name again replaces its entry and
        its rule.
    name : str, default "VETime"
        The name under which plans and results show it. Several names with several `params` are possible.
    confidence : float in [0, 1], default 0.9
        Rank in plans for ``data_type="time_series"``. PyOD's own time-series rules say 0.70 to 0.85, so the
        default makes VETime the first choice and a lower value makes it one of the alternatives.
    **params
        Parameters of `VETime` for the plans, e.g. ``threshold="pot"``.

    Returns
    -------
    ADEngine
        The same engine.

    Raises
    ------
    InputError
        If `confidence` is outside [0, 1], `params` are not parameters of `VETime`, or `name` is a detector of
        PyOD.

    Examples
    --------
    >>> from pyod.utils.ad_engine import ADEngine
    >>> from vetime_plugins.adapters.pyod import register_with_adengine
    >>> engine = register_with_adengine(ADEngine())
    >>> engine.plan_detection({"data_type": "time_series", "n_samples": 2000})["detector_name"]
    'VETime'
    """
    return add_algorithm(
        engine,
        VETime(),
        KNOWLEDGE,
        name=name,
        confidence=confidence,
        params=params,
        reason="Time series: pretrained on the values and an image of them, needs no training data.",
        evidence="VETime",
    )


def _column_names(X: Any) -> NDArray[np.object_] | None:
    """Return the column names of a DataFrame; None where, as in scikit-learn, not all are strings."""
    names = getattr(X, "columns", None)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return np.asarray(list(names), dtype=object)
