"""Detectors of the leaderboard: what other methods look at, read off VETime's own networks.

Each is one idea of the literature on weights that this package ships, so that a row tells what the idea is
worth by itself, not what another network or another training is worth. None is the product: that is
``vetime``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins.detectors.registry import Job, built_in
from vetime_plugins.detectors.vetime import FLAGS, changed_pipeline

if TYPE_CHECKING:
    from vetime_plugins.explanation import Explanation

_FLAGS: dict[str, Any] = {"sees_train": False, "framework": "vetime_plugins", **FLAGS}
_SURE = 1e-3  # of a variable's deviation: nobody is surer of a value than this

Scores = NDArray[np.float64]


def _explained(job: Job, weights: str) -> tuple[Explanation, Scores]:
    """Return what a network expected, and the deviation of each variable, (C,)."""
    found = changed_pipeline(weights, job.device).explain(job.values)
    deviation = found.series.std(axis=0)
    return found, np.where(deviation > 0, deviation, 1.0)


@built_in("vetime-imputation", requires=("torch",), **_FLAGS)
def _imputation(job: Job, *, weights: str = "expectation") -> Callable[[], ArrayLike]:
    """Error of values that are imputed while they are concealed: the largest of the variables, (T,).

    The idea of ImDiffusion (Chen et al., PVLDB 2023), with one pass of a network in place of a diffusion.
    """

    def score() -> ArrayLike:
        found, deviation = _explained(job, weights)
        return (np.abs(found.series - found.reconstruction) / deviation).max(axis=1)

    return score


@built_in("vetime-certain-error", requires=("torch",), **_FLAGS)
def _certain_error(job: Job, *, weights: str = "expectation") -> Callable[[], ArrayLike]:
    """Error in units of the one that the network foresaw: large where it was certain, but wrong, (T,).

    The idea of HypAD (Flaborea et al., 2023), with the distance that the network itself expects in place of
    the radius of a hyperbolic embedding.
    """

    def score() -> ArrayLike:
        found, deviation = _explained(job, weights)
        assert found.expected_distance is not None
        foreseen = np.maximum(found.expected_distance, _SURE * deviation)
        return (np.abs(found.series - found.reconstruction) / foreseen).max(axis=1)

    return score


@built_in("vetime-embedding-lof", requires=("torch", "sklearn"), **_FLAGS)
def _embedding_lof(job: Job, *, weights: str = "small", n_neighbors: int = 20) -> Callable[[], ArrayLike]:
    """Local outlier factor of the embeddings of patches: the largest of the variables, for every patch.

    The idea of THEMIS (arXiv, 2025), which looks for outliers among the embeddings of a network that was
    trained for something else.
    """
    from sklearn.neighbors import LocalOutlierFactor

    def factor(patches: Scores) -> Scores:
        if len(patches) < 3 or (patches == patches[0]).all():
            return np.zeros(len(patches))
        found = LocalOutlierFactor(n_neighbors=min(n_neighbors, len(patches) - 1)).fit(patches)
        return -found.negative_outlier_factor_

    return lambda: _on_points(job, weights, factor, use_vision=True)


@built_in("vetime-temporal", requires=("torch",), **_FLAGS)
def _temporal(job: Job, *, weights: str = "small", context: int = 16) -> Callable[[], ArrayLike]:
    """How far a patch is from the most alike of those around it, in embeddings of the temporal view alone.

    The idea of TimeRCD (Lan et al., arXiv, 2025), a discrepancy relative to the context, without its
    training for it. `context` is the number of patches on either side.
    """

    def discrepancy(patches: Scores) -> Scores:
        unit = patches / np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), 1e-12)
        alike: Scores = np.full(len(unit), -1.0 if unit.any() and len(unit) > 1 else 1.0, dtype=np.float64)
        for lag in range(1, min(context, len(unit) - 1) + 1):
            cosine = (unit[lag:] * unit[:-lag]).sum(axis=1)
            alike[lag:], alike[:-lag] = np.maximum(alike[lag:], cosine), np.maximum(alike[:-lag], cosine)
        return 1 - alike

    return lambda: _on_points(job, weights, discrepancy, use_vision=False)


def _on_points(job: Job, weights: str, judge: Callable[[Scores], Scores], *, use_vision: bool) -> Scores:
    """Judge the embeddings of the patches, (N, D), of each variable; return the largest at every point."""
    pipeline = changed_pipeline(weights, job.device, use_vision=use_vision)
    embedded = pipeline.embed(job.values)  # (C, N, D)
    patches: Scores = np.max([judge(one) for one in embedded], axis=0)
    scores: Scores = np.repeat(patches, pipeline.config.patch_size)[: len(job.values)]
    return scores
