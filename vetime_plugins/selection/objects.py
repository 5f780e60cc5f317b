"""Fit and score objects of PyOD, scikit-learn, sktime, Darts and Merlion, told apart by what they offer.

No framework is imported to look at an object: it brings its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interface", "find_interface"]

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Interface:
    """How objects of a framework are fitted and asked for scores.

    ``fit(detector, values)`` fits on (T, C) and returns its scores (T,), NaN where there are none;
    ``score(detector, values)`` returns those of a series by a fitted detector.
    """

    framework: str
    fit: Callable[[Any, Scores], ArrayLike]
    score: Callable[[Any, Scores], ArrayLike]


def find_interface(detector: Any) -> Interface | None:
    """Return how to use an object, None if it offers none of the known interfaces."""
    if _derives_from(detector, "darts.ad.scorers"):
        return _DARTS if hasattr(detector, "score") else None  # others want a forecast to compare with
    if _derives_from(detector, "merlion.models.anomaly"):
        return _MERLION
    if hasattr(detector, "fit") and hasattr(detector, "transform_scores"):
        return _SKTIME
    if not hasattr(detector, "fit"):
        return None
    if _derives_from(_last_step(detector), "sklearn.base", "OutlierMixin"):
        return _SKLEARN
    return _PYOD if hasattr(detector, "decision_function") else None


def _last_step(detector: Any) -> Any:
    """Return what gives the scores of a scikit-learn pipeline: their sign is that of its last step."""
    while getattr(detector, "steps", None):
        detector = detector.steps[-1][1]
    return detector


def _derives_from(detector: Any, module: str, name: str | None = None) -> bool:
    return any(
        cls.__module__.startswith(module) and name in (None, cls.__name__) for cls in type(detector).__mro__
    )


def _fit_pyod(detector: Any, values: Scores) -> ArrayLike:
    detector.fit(values)
    # What PyOD keeps of the fit leaves out the match of a point with itself; its decision_function does not.
    if hasattr(detector, "decision_scores_"):
        return detector.decision_scores_
    return _score_pyod(detector, values)


def _score_pyod(detector: Any, values: Scores) -> ArrayLike:
    return detector.decision_function(values)


def _score_sklearn(detector: Any, values: Scores) -> ArrayLike:
    return -np.asarray(detector.decision_function(values))  # there, low is anomalous


def _fit_sklearn(detector: Any, values: Scores) -> ArrayLike:
    detector.fit(values)
    # LocalOutlierFactor scores its own data in no other way.
    if hasattr(detector, "negative_outlier_factor_"):
        return -np.asarray(detector.negative_outlier_factor_)
    return _score_sklearn(detector, values)


def _score_sktime(detector: Any, values: Scores) -> ArrayLike:
    import pandas as pd

    return np.asarray(detector.transform_scores(pd.DataFrame(values))).reshape(len(values), -1)[:, 0]


def _fit_sktime(detector: Any, values: Scores) -> ArrayLike:
    import pandas as pd

    detector.fit(pd.DataFrame(values))
    return _score_sktime(detector, values)


def _score_darts(detector: Any, values: Scores) -> ArrayLike:
    from darts import TimeSeries

    scored = detector.score(TimeSeries.from_values(values))
    scores = np.full(len(values), np.nan)  # a window of w points scores T - w + 1
    scores[scored.time_index.to_numpy()] = scored.values().mean(axis=1)
    return scores


def _fit_darts(detector: Any, values: Scores) -> ArrayLike:
    from darts import TimeSeries

    detector.fit(TimeSeries.from_values(values))
    return _score_darts(detector, values)


def _as_merlion(values: Scores, after: Any = None) -> Any:
    """Return the series with a time stamp a minute, from 1970 on or from what it comes after."""
    import pandas as pd
    from merlion.utils import TimeSeries

    minute = pd.Timedelta("1min")
    first = pd.Timestamp(0) if after is None else after.to_pd().index[-1] + minute
    index = pd.date_range(first, periods=len(values), freq=minute)
    columns = [f"v{i}" for i in range(values.shape[1])]
    return TimeSeries.from_pd(pd.DataFrame(values, index=index, columns=columns))


def _from_merlion(scores: Any, series: Any) -> ArrayLike:
    joined = scores.to_pd().iloc[:, 0]
    joined = joined[~joined.index.duplicated()].reindex(series.to_pd().index)
    return np.abs(joined.to_numpy())  # of signed scores both directions are anomalous


def _fit_merlion(detector: Any, values: Scores) -> ArrayLike:
    series = _as_merlion(values)
    return _from_merlion(detector.train(series), series)


def _score_merlion(detector: Any, values: Scores) -> ArrayLike:
    # Some of its detectors refuse time stamps that they were trained on, or leave out their first point.
    before = detector.train_data
    series = _as_merlion(values, before)
    return _from_merlion(detector.get_anomaly_score(series, time_series_prev=before), series)


_PYOD = Interface("pyod", _fit_pyod, _score_pyod)
_SKLEARN = Interface("sklearn", _fit_sklearn, _score_sklearn)
_SKTIME = Interface("sktime", _fit_sktime, _score_sktime)
_DARTS = Interface("darts", _fit_darts, _score_darts)
_MERLION = Interface("merlion", _fit_merlion, _score_merlion)
