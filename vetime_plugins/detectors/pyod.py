"""Detectors of the leaderboard: detectors of PyOD.

Its detectors of points become detectors of series inside PyOD's own `TimeSeriesOD`, which feeds them windows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins.detectors.registry import Job, built_in

_REQUIRES = ("pyod",)
_DRAWN: dict[str, Any] = {"sees_train": True, "multivariate": True, "random": True}


def _is_constant(values: NDArray[np.float64]) -> bool:
    return bool((values == values[0]).all())


def _inductive(job: Job, detector: Any) -> Callable[[], ArrayLike]:
    """Fit on the train part, score the whole series."""
    detector.fit(job.fitted_on)
    return lambda: detector.decision_function(job.values)


def _windowed(job: Job, detector: Any, window: int | None) -> Callable[[], ArrayLike]:
    from pyod.models.ts_od import TimeSeriesOD

    return _inductive(job, TimeSeriesOD(detector, window_size=job.window(window)))


@built_in("pyod-spectral-residual", sees_train=False, multivariate=True, requires=_REQUIRES)
def _spectral_residual(job: Job, *, score_window: int = 3) -> Callable[[], ArrayLike]:
    from pyod.models.ts_spectral_residual import SpectralResidual

    return _inductive(job, SpectralResidual(score_window=score_window))


@built_in("pyod-matrix-profile", sees_train=False, multivariate=True, requires=_REQUIRES)
def _matrix_profile(job: Job, *, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.ts_matrix_profile import MatrixProfile

    if _is_constant(job.values):  # it divides by the deviation
        return lambda: np.zeros(len(job.values))
    detector = MatrixProfile(window_size=job.window(window)).fit(job.values)
    return lambda: detector.decision_scores_  # transductive: it has no decision_function


@built_in("pyod-kshape", requires=_REQUIRES, slow=True, **_DRAWN)
def _kshape(job: Job, *, n_clusters: int = 3, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.ts_kshape import KShape

    width = job.window(window)
    return _inductive(job, KShape(n_clusters=n_clusters, window_size=width, random_state=job.seed))


@built_in("pyod-sand", requires=_REQUIRES, slow=True, **_DRAWN)
def _sand(job: Job, *, n_clusters: int = 5, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.ts_sand import SAND

    return _inductive(job, SAND(n_clusters=n_clusters, window_size=job.window(window), random_state=job.seed))


@built_in("pyod-knn", sees_train=True, multivariate=True, requires=_REQUIRES)
def _knn(job: Job, *, n_neighbors: int = 5, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.knn import KNN

    return _windowed(job, KNN(n_neighbors=n_neighbors, n_jobs=1), window)


@built_in("pyod-lof", sees_train=True, multivariate=True, requires=_REQUIRES)
def _lof(job: Job, *, n_neighbors: int = 50, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.lof import LOF

    return _windowed(job, LOF(n_neighbors=n_neighbors, n_jobs=1), window)


@built_in("pyod-pca", sees_train=True, multivariate=True, requires=_REQUIRES)
def _pca(job: Job, *, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.pca import PCA

    if _is_constant(job.fitted_on):  # no axes
        return lambda: np.zeros(len(job.values))
    return _windowed(job, PCA(random_state=job.seed), window)


@built_in("pyod-iforest", requires=_REQUIRES, **_DRAWN)
def _iforest(job: Job, *, n_estimators: int = 100, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.iforest import IForest

    return _windowed(job, IForest(n_estimators=n_estimators, n_jobs=1, random_state=job.seed), window)


@built_in("pyod-autoencoder", requires=("pyod", "torch", "tqdm"), uses_gpu=True, **_DRAWN)
def _autoencoder(job: Job, *, epochs: int = 10, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.auto_encoder import AutoEncoder

    device = None if job.device == "auto" else job.device
    detector = AutoEncoder(epoch_num=epochs, device=device, random_state=job.seed, verbose=0)
    return _windowed(job, detector, window)


@built_in("pyod-lstm", requires=("pyod", "torch"), slow=True, **_DRAWN)
def _lstm(job: Job, *, epochs: int = 5, window: int | None = None) -> Callable[[], ArrayLike]:
    from pyod.models.ts_lstm import LSTMAD

    return _inductive(job, LSTMAD(window_size=job.window(window), epochs=epochs))
