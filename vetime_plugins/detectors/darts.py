"""Detectors of the leaderboard: scorers and anomaly models of Darts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vetime_plugins.detectors.registry import Job, built_in

_REQUIRES = ("darts",)
_SHORTEST = 4  # lags that the kernel of Darts' convolutional network, 3 points, fits into
_TORCH: dict[str, Any] = {
    "sees_train": True,
    "multivariate": True,
    "requires": ("darts", "torch", "pytorch_lightning"),
    "random": True,
    "uses_gpu": True,
}


def _series(job: Job) -> Any:
    from darts import TimeSeries

    return TimeSeries.from_values(job.values)


def _on_points(job: Job, scores: Any, shift: int = 0) -> ArrayLike:
    """Return Darts' scores on the points of the series, NaN where Darts gives none.

    `shift` is how much earlier than its time stamp a score belongs.
    """
    values = np.full(len(job.values), np.nan)
    values[scores.time_index.to_numpy() - shift] = scores.values()[:, 0]
    return values


def _fitted(job: Job, scorer: Any, shift: int = 0) -> Callable[[], ArrayLike]:
    series = _series(job)
    scorer.fit(series[: job.n_fit])
    return lambda: _on_points(job, scorer.score(series), shift)


@built_in("darts-kmeans", sees_train=True, multivariate=True, requires=_REQUIRES, random=True)
def _kmeans(job: Job, *, k: int = 50, window: int | None = None) -> Callable[[], ArrayLike]:
    from darts.ad.scorers import KMeansScorer

    width = job.window(window)
    k = min(k, job.n_fit - width + 1)
    return _fitted(job, KMeansScorer(window=width, k=k, random_state=job.seed))


@built_in("darts-knn", sees_train=True, multivariate=True, requires=("darts", "pyod"))
def _knn(job: Job, *, n_neighbors: int = 5, window: int | None = None) -> Callable[[], ArrayLike]:
    from darts.ad.scorers import PyODScorer
    from pyod.models.knn import KNN

    return _fitted(job, PyODScorer(KNN(n_neighbors=n_neighbors, n_jobs=1), window=job.window(window)))


@built_in("darts-wasserstein", sees_train=True, multivariate=True, requires=_REQUIRES)
def _wasserstein(job: Job, *, window: int | None = None) -> Callable[[], ArrayLike]:
    from darts.ad.scorers import WassersteinScorer

    width = job.window(window)
    # A score is that of the window that ends at its time stamp; it belongs to the middle.
    return _fitted(job, WassersteinScorer(window=width, window_agg=False), shift=width // 2)


@built_in("darts-linear-regression", sees_train=True, multivariate=True, requires=_REQUIRES)
def _linear_regression(job: Job, *, lags: int | None = None) -> Callable[[], ArrayLike]:
    from darts.models import LinearRegressionModel

    lags = job.window(lags)
    return _forecast_errors(job, LinearRegressionModel(lags=lags), _series(job), lags)


def _forecast_errors(job: Job, forecaster: Any, series: Any, lags: int) -> Callable[[], ArrayLike]:
    """Return the norm of the one-step errors of a forecaster that reads so many `lags`."""
    from darts.ad import ForecastingAnomalyModel
    from darts.ad.scorers import NormScorer

    model = ForecastingAnomalyModel(forecaster, NormScorer())
    model.fit(series[: job.n_fit], allow_model_training=True)
    return lambda: _on_points(job, model.score(series, start=lags, start_format="position"))


def _trainer(device: str) -> dict[str, Any]:
    """Return Darts' options for a device of torch, and for a trainer that writes and draws nothing."""
    kind, _, index = device.partition(":")
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    return {
        "accelerator": {"cuda": "gpu"}.get(kind, kind),
        "devices": [int(index)] if index else 1,
        **dict.fromkeys(silent, False),
    }


def _forecaster(job: Job, kind: str, lags: int | None, epochs: int) -> Callable[[], ArrayLike]:
    """Return the errors of a network on values in units of the train part's deviation."""
    import darts.models
    from darts.dataprocessing.transformers import Scaler
    from sklearn.preprocessing import StandardScaler

    lags = max(_SHORTEST, job.window(lags)) if lags is None else lags
    series = _series(job)
    scaler = Scaler(StandardScaler()).fit(series[: job.n_fit])
    network = getattr(darts.models, kind)(
        input_chunk_length=lags,
        output_chunk_length=1,
        n_epochs=epochs,
        random_state=job.seed,
        pl_trainer_kwargs=_trainer(job.device),
    )
    return _forecast_errors(job, network, scaler.transform(series).astype(np.float32), lags)


@built_in("darts-dlinear", **_TORCH)
def _dlinear(job: Job, *, lags: int | None = None, epochs: int = 10) -> Callable[[], ArrayLike]:
    return _forecaster(job, "DLinearModel", lags, epochs)


@built_in("darts-tcn", **_TORCH)
def _tcn(job: Job, *, lags: int | None = None, epochs: int = 10) -> Callable[[], ArrayLike]:
    return _forecaster(job, "TCNModel", lags, epochs)


@built_in("darts-moving-average", sees_train=False, multivariate=True, requires=_REQUIRES)
def _moving_average(job: Job, *, window: int = 25) -> Callable[[], ArrayLike]:
    from darts.ad import FilteringAnomalyModel
    from darts.ad.scorers import NormScorer
    from darts.models import MovingAverageFilter

    series = _series(job)
    model = FilteringAnomalyModel(MovingAverageFilter(window), NormScorer())
    return lambda: _on_points(job, model.score(series))
