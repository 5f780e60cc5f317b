"""Detectors of the leaderboard: detectors of Merlion, without calibration and thresholds.

The train part gets the scores that training returns, the rest those of `get_anomaly_score` with the train
part as what came before: without it some detectors leave out their first point, and others refuse time stamps
that they were trained on.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from vetime_plugins.detectors.registry import Job, built_in

if TYPE_CHECKING:
    import pandas as pd

_REQUIRES = ("merlion",)
_FITTED: dict[str, Any] = {"sees_train": True, "multivariate": True, "random": True}
_DEEP: dict[str, Any] = {**_FITTED, "requires": ("merlion", "torch"), "uses_gpu": True}
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)


def as_frame(job: Job, lasts: timedelta = _DAY) -> pd.DataFrame:
    """Return the series with time stamps on which one period `lasts` so long, (T, C).

    Some detectors of Merlion know times of day, and benchmark series come without any time.
    """
    import pandas as pd

    step = max(pd.Timedelta(lasts) / job.period, pd.Timedelta("1ms")).round("ms")  # Merlion's resolution
    index = pd.date_range("2024-01-01", periods=len(job.values), freq=step)
    return pd.DataFrame(job.values, index=index, columns=[f"v{i}" for i in range(job.values.shape[1])])


def _trained(
    job: Job, name: str, device: str | None = None, lasts: timedelta = _DAY, **parameters: Any
) -> Callable[[], ArrayLike]:
    import pandas as pd
    from merlion.models.factory import ModelFactory
    from merlion.utils import TimeSeries

    frame = as_frame(job, lasts)
    model = ModelFactory.create(name, **parameters)
    if device is not None and device != "auto":
        model.device = device
    before, after = (TimeSeries.from_pd(part) for part in (frame[: job.n_fit], frame[job.n_fit :]))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        scores = model.train(before).to_pd()

    def score() -> ArrayLike:
        parts = [scores]
        if not after.is_empty():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                parts.append(model.get_anomaly_score(after, time_series_prev=before).to_pd())
        joined = pd.concat(parts).iloc[:, 0]
        joined = joined[~joined.index.duplicated()].reindex(frame.index)
        return np.abs(joined.to_numpy())  # of signed scores both directions are anomalous

    return score


@built_in("merlion-isolation-forest", sees_train=True, multivariate=True, requires=_REQUIRES)
def _isolation_forest(job: Job, *, n_estimators: int = 100) -> Callable[[], ArrayLike]:
    return _trained(job, "IsolationForest", n_estimators=n_estimators, n_jobs=1)


@built_in("merlion-lof", sees_train=True, multivariate=True, requires=_REQUIRES)
def _lof(job: Job, *, n_neighbors: int = 20) -> Callable[[], ArrayLike]:
    return _trained(job, "LocalOutlierFactor", n_neighbors=n_neighbors, n_jobs=1)


@built_in("merlion-spectral-residual", sees_train=False, multivariate=False, requires=_REQUIRES)
def _spectral_residual(job: Job) -> Callable[[], ArrayLike]:
    return _trained(job, "SpectralResidual", target_seq_index=0)


@built_in("merlion-stat-threshold", sees_train=True, multivariate=False, requires=_REQUIRES)
def _stat_threshold(job: Job) -> Callable[[], ArrayLike]:
    return _trained(job, "StatThreshold", target_seq_index=0)


@built_in("merlion-wind-stats", sees_train=True, multivariate=False, requires=_REQUIRES)
def _wind_stats(job: Job, *, window_minutes: int | None = None, max_day: int = 4) -> Callable[[], ArrayLike]:
    # It compares a point with the same weekday and window of the day: weeks are periods here. It needs some
    # points in each window, or the deviation there is 0 and so are all scores.
    minutes = min(max(30, 4 * 7 * 1440 // job.period), 1440) if window_minutes is None else window_minutes
    return _trained(job, "WindStats", lasts=_WEEK, wind_sz=minutes, max_day=max_day)


@built_in("merlion-dynamic-baseline", sees_train=True, multivariate=False, requires=_REQUIRES)
def _dynamic_baseline(job: Job) -> Callable[[], ArrayLike]:
    return _trained(job, "DynamicBaseline", trends=["daily"])


@built_in("merlion-zms", sees_train=True, multivariate=False, requires=_REQUIRES)
def _zms(job: Job) -> Callable[[], ArrayLike]:
    return _trained(job, "ZMS")


@built_in("merlion-random-cut-forest", requires=("merlion", "java"), slow=True, **_FITTED)
def _random_cut_forest(job: Job, *, n_estimators: int = 100) -> Callable[[], ArrayLike]:
    return _trained(job, "RandomCutForest", n_estimators=n_estimators, seed=job.seed)


@built_in("merlion-autoencoder", **_DEEP)
def _autoencoder(job: Job, *, epochs: int = 10) -> Callable[[], ArrayLike]:
    return _trained(job, "AutoEncoder", job.device, num_epochs=epochs)


@built_in("merlion-vae", **_DEEP)
def _vae(job: Job, *, epochs: int = 10) -> Callable[[], ArrayLike]:
    return _trained(job, "VAE", job.device, num_epochs=epochs)


@built_in("merlion-lstm-ed", **_DEEP)
def _lstm_ed(job: Job, *, epochs: int = 5) -> Callable[[], ArrayLike]:
    return _trained(job, "LSTMED", job.device, num_epochs=epochs)


@built_in("merlion-dagmm", slow=True, **_DEEP)
def _dagmm(job: Job, *, epochs: int = 3) -> Callable[[], ArrayLike]:
    return _trained(job, "DAGMM", job.device, num_epochs=epochs)


@built_in("merlion-default", requires=("merlion", "torch", "java"), slow=True, **_FITTED)
def _default(job: Job) -> Callable[[], ArrayLike]:
    return _trained(job, "DefaultDetector")
