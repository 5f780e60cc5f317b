"""VETime as an sktime detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vetime_plugins.adapters._shared import (
    check_max_reference,
    check_width,
    latest,
    leaders,
    load_pipeline,
    missing_dependency,
    telling,
)
from vetime_plugins.errors import InputError
from vetime_plugins.incidents import find_incidents
from vetime_plugins.streaming import StreamingVETime
from vetime_plugins.thresholds import check_contamination, check_rule, find_threshold

try:
    import pandas as pd
    from sktime.detection.base import BaseDetector
except ImportError as error:
    raise missing_dependency("VETimeDetector for sktime", "sktime>=1.0", "sktime") from error

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vetime_plugins.incidents import Incidents
    from vetime_plugins.pipeline import VETimePipeline

__all__ = ["VETimeDetector"]

_IDENTIFIES = "capability:variable_identification"


class VETimeDetector(BaseDetector):
    """Zero-shot anomaly detector for one series of any length, with one or many variables.

    The network is pretrained and never trained here. ``fit`` keeps the series as reference, with which later
    series are compared, and sets the threshold from its scores. Since sktime asks for ``fit`` before anything
    else, zero-shot detection is ``fit_predict`` or ``fit_transform`` on the series in question: a series that
    is its own reference gets the scores that it gets without any.

    Parameters
    ----------
    weights : str or Path, default "small"
        Bundled model or the folder of a checkpoint.
    device : str, default "auto"
        Torch device, e.g. ``"cpu"`` or ``"cuda:0"``; ``"auto"`` takes an accelerator if there is one.
    dtype : str, default "float32"
        Number format of the network.
    readout : {None, "point", "window"}, default None
        ``"point"`` gives sharp scores, ``"window"`` scores smoothed over one period, None the checkpoint's
        default.
    threshold : {"auto", "quantile", "std", "pot"} or float, default "auto"
        How the threshold follows from the scores of the fitted data, see
        `vetime_plugins.thresholds.find_threshold`; a number is a fixed threshold.
    contamination : float in (0, 0.5], default 0.1
        Share of anomalous time points that ``threshold="quantile"`` expects.
    max_reference : int, default 20_000
        How many of the latest time points ``fit`` and ``update`` keep as reference.
    context : int, default 512
        How many time points ``update`` looks at to score one of them: it and those before it.
    stride : int, default 1
        ``update`` scores this many time points at once. Above 1 it is that many times faster, but up to
        ``stride - 1`` later time points of the same call take part in a score.
    identify_variables : bool, default False
        Also say which variables lead: ``predict`` has a further column ``icolumns``, lists of positions with
        the variable that contributes most first, and ``transform`` one column ``labels_<name>`` for each
        variable. This is sktime's tag ``capability:variable_identification``, which follows it.

    Attributes
    ----------
    threshold_ : float
        Time points with a greater score are anomalous.
    scores_ : pandas.Series
        Scores of the time points seen by ``fit`` and ``update``, on their index.
    reference_ : pandas.DataFrame
        The time points that later series are compared with.

    Raises
    ------
    InputError
        On construction and in ``set_params``, if a parameter is outside its range. It is a ``ValueError``.

    Notes
    -----
    ``predict`` gives the positions of anomalous time points, ``predict_scores`` a score for each of them,
    ``transform`` 0 or 1 and ``transform_scores`` a score in [0, 1] for every time point, these two on the
    index of ``X``. Time points count as evenly spaced. Columns are matched by name where fitted and new data
    have the same names, otherwise by position.

    Asking for the scores of the data passed last to ``fit`` or ``update`` returns those that were computed
    then. Scored anew beside the rest of the reference they would be others.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.adapters.sktime import VETimeDetector
    >>> x = np.sin(np.arange(1000) / 8)
    >>> x[600:620] = x[600]
    >>> detector = VETimeDetector(threshold="quantile", contamination=0.02).fit(x)
    >>> len(detector.predict(x))
    20
    >>> int(detector.transform_scores(x)["scores"].idxmax()) in range(590, 630)
    True
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": ["vetime-plugins developers"],
        "maintainers": ["vetime-plugins developers"],
        "python_version": ">=3.11",
        "python_dependencies": ["torch", "safetensors"],
        "task": "anomaly_detection",
        "learning_type": "unsupervised",
        "X_inner_mtype": "pd.DataFrame",
        "fit_is_empty": False,
        "capability:multivariate": True,
        "capability:missing_values": True,
        "capability:update": True,
        "property:randomness": "deterministic",
    }

    def __init__(
        self,
        weights: str | Path = "small",
        device: str = "auto",
        dtype: str = "float32",
        readout: str | None = None,
        threshold: str | float = "auto",
        contamination: float = 0.1,
        max_reference: int = 20_000,
        context: int = 512,
        stride: int = 1,
        identify_variables: bool = False,
    ) -> None:
        self.weights = weights
        self.device = device
        self.dtype = dtype
        self.readout = readout
        self.threshold = threshold
        self.contamination = contamination
        self.max_reference = max_reference
        self.context = context
        self.stride = stride
        self.identify_variables = identify_variables
        super().__init__()

    def __post_init__(self) -> None:
        """Check the parameters; sktime calls this after ``__init__``, so in `clone` and `set_params` too."""
        check_rule(self.threshold)
        check_contamination(self.contamination)
        check_max_reference(self.max_reference)
        self._stream()
        if self.identify_variables and _IDENTIFIES in BaseDetector.get_class_tags():  # sktime 1.0 has no such
            self.set_tags(**{_IDENTIFIES: True})

    def _check_X(self, X: Any) -> pd.DataFrame:
        """Return `X` as a DataFrame; a panel gets an error that says what to do with it."""
        try:
            return super()._check_X(X)
        except TypeError:
            if (self._X_metadata or {}).get("scitype") == "Panel":
                msg = (
                    "VETimeDetector takes one series, got a panel of several; wrap it: "
                    "vetime_plugins.adapters.sktime.VETimeTransformer(VETimeDetector(...)).fit_transform(panel)"
                )
                raise InputError(msg) from None
            raise

    def _fit(self, X: pd.DataFrame, y: Any = None) -> VETimeDetector:
        X = X.copy()  # the caller may write into theirs later
        scores = self._pipeline().score(X, readout=self.readout)
        self.scores_ = pd.Series(scores, index=X.index, name="scores")
        self.reference_ = self._X = latest(X, self.max_reference)
        self._seen = X, scores, False  # whether they were scored as a stream
        self._set_threshold()
        return self

    def _update(self, X: pd.DataFrame, y: Any = None) -> VETimeDetector:
        stream = self._stream()
        past = self._before(X)
        if len(past):
            earlier = latest(past[: -self.context], self.max_reference)
            stream.warm_up(past, as_reference=telling(earlier) is not None)
        scores = np.concatenate([stream.update(X), stream.flush()])
        known = latest(self.scores_, self.max_reference)
        merged = pd.Series(scores, index=X.index, name="scores").combine_first(known)
        self.scores_ = latest(merged, self.max_reference)
        self.reference_ = self._X = latest(X.combine_first(self.reference_), self.max_reference)
        self._seen = X.copy(), scores, True
        self._set_threshold()
        return self

    def _predict(self, X: pd.DataFrame) -> pd.DataFrame:
        ilocs = np.flatnonzero(self._score(X) > self.threshold_).astype("int64")
        if not self.identify_variables:
            return pd.DataFrame({"ilocs": ilocs})
        return pd.DataFrame({"ilocs": ilocs, "icolumns": self._leaders(X, ilocs)})

    def _leaders(self, X: pd.DataFrame, ilocs: NDArray[np.int64]) -> pd.Series:
        """Return for each flagged time point the positions in `X` of the variables that lead there."""
        fitted = self._match_columns(X).columns
        place = list(X.columns.get_indexer(fitted)) if set(X.columns) == set(fitted) else range(len(fitted))
        found = leaders(self._find_incidents(X, self.threshold_), ilocs)
        return pd.Series([[int(place[i]) for i in one] for one in found], dtype=object)

    def _predict_scores(self, X: pd.DataFrame) -> pd.DataFrame:
        scores = self._score(X)
        return pd.DataFrame({"scores": scores[scores > self.threshold_]})

    def _transform_scores(self, X: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"scores": self._score(X)}, index=X.index)

    def transform(self, X: Any) -> pd.DataFrame:
        """Label every time point.

        Parameters
        ----------
        X : pandas.DataFrame, pandas.Series or numpy.ndarray
            The series, T time points.

        Returns
        -------
        pandas.DataFrame
            Shape ``(T, 1)``, column ``labels``, int64: 1 where anomalous, else 0. On the index of `X`. With
            `identify_variables` shape ``(T, C)``, a column ``labels_<name>`` for each variable: 1 where it
            leads an anomaly.
        """
        self.check_is_fitted()
        X = self._check_X(X)  # the base class would return the labels without the index
        flags = self._score(X) > self.threshold_
        if not self.identify_variables:
            return pd.DataFrame({"labels": flags.astype("int64")}, index=X.index)
        labels = np.zeros(X.shape, dtype="int64")
        ilocs = np.flatnonzero(flags)
        for step, columns in zip(ilocs, self._leaders(X, ilocs), strict=True):
            labels[step, columns] = 1
        return pd.DataFrame(labels, index=X.index, columns=[f"labels_{name}" for name in X.columns])

    def fit_transform(self, X: Any, y: Any = None) -> pd.DataFrame:
        """Fit and label every time point.

        Parameters
        ----------
        X : pandas.DataFrame, pandas.Series or numpy.ndarray
            The series, T time points.
        y : object
            Ignored.

        Returns
        -------
        pandas.DataFrame
            As `transform` returns it.
        """
        return self.fit(X, y).transform(X)

    def predict_points(self, X: Any) -> pd.DataFrame:
        """Return the positions of anomalous time points, as ``predict`` does for every anomaly detector.

        Parameters
        ----------
        X : pandas.DataFrame, pandas.Series or numpy.ndarray
            The series, T time points.

        Returns
        -------
        pandas.DataFrame
            Column ``ilocs``.
        """
        return self.predict(X)  # the base class would clear the name of the caller's index on the way

    def incidents(self, X: Any, *, threshold: str | float | None = None) -> Incidents:
        """Say what happened in a series: when, how badly, of what kind, in which variables.

        Parameters
        ----------
        X : pandas.DataFrame, pandas.Series or numpy.ndarray
            The series, T time points.
        threshold : str or float, optional
            Rule or number in place of ``threshold_``. A rule is applied to ``scores_``.

        Returns
        -------
        vetime_plugins.Incidents
            The most severe first, on the index of `X`; ``to_frame()`` makes a DataFrame of it.
        """
        self.check_is_fitted()
        if threshold is None:
            limit = self.threshold_
        else:
            limit = find_threshold(self.scores_.to_numpy(), threshold, contamination=self.contamination)
        return self._find_incidents(self._check_X(X), limit)

    def _find_incidents(self, X: pd.DataFrame, limit: float) -> Incidents:
        """Return the incidents of the same scores that `_score` gives."""
        X, (seen, scores, streamed) = self._match_columns(X), self._seen
        known = len(X) == len(seen) and X.set_axis(seen.index).equals(seen)
        if known and streamed:  # there are scores of the time points, but none of the variables
            return find_incidents(scores, X, threshold=limit)
        reference = None if known else telling(self.reference_)
        return (
            self._pipeline().detect(X, reference=reference, readout=self.readout, threshold=limit).incidents
        )

    def predict_segments(self, X: Any) -> pd.DataFrame:
        """Return the segments between anomalous time points, as sktime defines them for anomaly detectors.

        Parameters
        ----------
        X : pandas.DataFrame, pandas.Series or numpy.ndarray
            The series, T time points.

        Returns
        -------
        pandas.DataFrame
            Column ``ilocs``: left-closed intervals of positions, cut at every anomalous time point.
        """
        cuts = self.predict(X)
        segments = self.change_points_to_segments(cuts, start=0, end=len(X))
        return self._coerce_to_df(segments, columns=["ilocs"])

    def update(self, X: Any, y: Any = None) -> VETimeDetector:
        """Score new time points in the light of the past, then take them into reference and threshold.

        Parameters
        ----------
        X : pandas.DataFrame, pandas.Series or numpy.ndarray
            New time points. Rows whose time label is known replace those; an array has no labels, so its rows
            follow what was seen, which needs an integer index.
        y : object
            Ignored, as in ``fit``.

        Returns
        -------
        VETimeDetector
            self.

        Raises
        ------
        InputError
            If the time index has duplicates or is of another kind than that of the fitted data, or the number
            of variables differs. The detector is then as it was before.

        Notes
        -----
        Each new time point is scored as `vetime_plugins.streaming.StreamingVETime` does it: at the end of the
        latest `context` time points, with what came before those as reference. ``threshold_`` then
        follows from the scores of the latest `max_reference` time points seen by ``fit`` and ``update``.
        """
        self.check_is_fitted()
        X = self._match_columns(self._check_X(self._label(X)))
        if len(X) == 0:
            return self
        self._before(X)  # the base class merges by label before it asks us, so refuse bad labels first
        return super().update(X)

    def _pipeline(self) -> VETimePipeline:
        return load_pipeline(self.weights, device=self.device, dtype=self.dtype)

    def _stream(self) -> StreamingVETime:
        """Return an empty stream with the detector's parameters; it checks some, and loads no weights."""
        return StreamingVETime(
            self.context,
            stride=self.stride,
            weights=self.weights,
            device=self.device,
            dtype=self.dtype,
            readout=self.readout,
            max_reference=self.max_reference,
        )

    def _score(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return the scores (T,) of `X`, the kept ones where it holds the data seen last."""
        X = self._match_columns(X)
        seen, scores, _ = self._seen
        if len(X) == len(seen) and X.set_axis(seen.index).equals(seen):
            return scores.copy()
        return self._pipeline().score(X, reference=telling(self.reference_), readout=self.readout)

    def _set_threshold(self) -> None:
        scores = self.scores_.to_numpy()
        self.threshold_ = find_threshold(scores, self.threshold, contamination=self.contamination)

    def _match_columns(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return `X` (T, C) with the fitted columns, by name where these are the same, else by position."""
        columns = self.reference_.columns
        check_width("VETimeDetector", len(columns), X.shape[1])
        if X.columns.equals(columns):
            return X
        if set(X.columns) == set(columns):
            return X[columns]
        return X.set_axis(columns, axis=1)

    def _label(self, X: Any) -> Any:
        """Return an array as a DataFrame whose integer index goes on where the seen data end."""
        if not isinstance(X, np.ndarray):
            return X
        index = self.reference_.index
        if index.dtype.kind != "i":
            msg = f"an array has no index to continue the fitted {type(index).__name__}; pass a pandas object"
            raise InputError(msg)
        return pd.DataFrame(X, index=pd.RangeIndex(index[-1] + 1, index[-1] + 1 + len(X)))

    def _before(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the reference before the first of `X`, or raise if the labels do not fit."""
        index = self.reference_.index
        if not (index.is_unique and X.index.is_unique):
            raise InputError("update needs unique time labels, got duplicates; drop or average them")
        try:
            return self.reference_[index < X.index[0]]
        except (TypeError, ValueError):  # what pandas raises for two kinds, time zones or frequencies
            msg = f"update needs the kind of time index that fit got ({index.dtype}), got {X.index.dtype}"
            raise InputError(msg) from None

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return the settings that sktime's own test suite tries.

        Parameters
        ----------
        parameter_set : str, default "default"
            There is only this one.

        Returns
        -------
        list of dict
            Arguments of the constructor.
        """
        return [
            {},
            {"readout": "point", "threshold": "std", "max_reference": 16},
            {"readout": "window", "threshold": 0.5, "context": 64, "stride": 4},
            {"identify_variables": True},
        ]
