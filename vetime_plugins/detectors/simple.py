"""Detectors of the leaderboard: the simple baselines of this package."""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import ArrayLike

from vetime_plugins.detectors.baselines import moving_variance, random_scores, sub_knn, sub_pca
from vetime_plugins.detectors.registry import Job, built_in

_OURS = "vetime_plugins"


@built_in("random", sees_train=False, multivariate=True, framework=_OURS, random=True)
def _random(job: Job) -> Callable[[], ArrayLike]:
    return lambda: random_scores(job.values, seed=job.seed)


@built_in("moving-variance", sees_train=False, multivariate=True, framework=_OURS)
def _moving_variance(job: Job, *, window: int = 25) -> Callable[[], ArrayLike]:
    return lambda: moving_variance(job.values, window=window)


@built_in("sub-pca", sees_train=False, multivariate=True, framework=_OURS)
def _sub_pca(job: Job, *, window: int | None = None) -> Callable[[], ArrayLike]:
    return lambda: sub_pca(job.values, window=job.window(window))


@built_in("sub-knn", sees_train=False, multivariate=True, framework=_OURS)
def _sub_knn(job: Job, *, window: int | None = None, n_neighbors: int = 5) -> Callable[[], ArrayLike]:
    return lambda: sub_knn(job.values, window=job.window(window), n_neighbors=n_neighbors)
