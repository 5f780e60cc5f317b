"""Detectors of the leaderboard: detectors of sktime.

Two of them, SubLOF and CAPA, only label; their scores are 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from vetime_plugins.detectors.registry import Job, built_in

_REQUIRES = ("sktime",)


@built_in("sktime-hampel", sees_train=False, multivariate=False, requires=_REQUIRES)
def _hampel(job: Job, *, window: int | None = None) -> Callable[[], ArrayLike]:
    import pandas as pd
    from sktime.detection.hampel import HampelDetector

    series = pd.Series(job.values[:, 0])
    detector = HampelDetector(window_length=job.window(window)).fit(series)
    return lambda: detector.transform_scores(series)["scores"].to_numpy()


@built_in("sktime-stray", sees_train=False, multivariate=True, requires=_REQUIRES)
def _stray(job: Job, *, k: int = 10) -> Callable[[], ArrayLike]:
    from sklearn.preprocessing import MinMaxScaler
    from sktime.detection.stray import STRAY

    detector = STRAY(k=min(k, len(job.values) - 2)).fit(MinMaxScaler().fit_transform(job.values))
    return lambda: detector.score_  # it is a transformer, and transform gives labels


@built_in("sktime-sublof", sees_train=True, multivariate=False, requires=_REQUIRES)
def _sublof(job: Job, *, n_neighbors: int = 20) -> Callable[[], ArrayLike]:
    import pandas as pd
    from sktime.detection.lof import SubLOF

    frame = pd.DataFrame(job.values)
    # It fits one model for each interval of the index and knows no others: one interval has to span all.
    detector = SubLOF(min(n_neighbors, job.n_fit - 1), window_size=len(frame) + 1, novelty=True)
    detector.fit(frame[: job.n_fit])
    return lambda: detector.transform(frame)["labels"].to_numpy()


@built_in("sktime-capa", sees_train=True, multivariate=True, requires=_REQUIRES, slow=True)
def _capa(
    job: Job, *, min_segment_length: int = 2, max_segment_length: int = 1000
) -> Callable[[], ArrayLike]:
    import pandas as pd
    from sklearn.preprocessing import RobustScaler
    from sktime.detection.capa import CAPA

    # Its baseline is mean 0 and variance 1; the inter-quartile range of the normal distribution is 1.349.
    scaler = RobustScaler(unit_variance=True).fit(job.fitted_on)
    detector = CAPA(min_segment_length=min_segment_length, max_segment_length=max_segment_length)
    frame = pd.DataFrame(scaler.transform(job.values))
    detector.fit(frame[: job.n_fit])

    def score() -> ArrayLike:
        labels = np.zeros(len(frame))
        for segment in detector.predict(frame)["ilocs"]:
            labels[segment.left : segment.right] = 1
        return labels

    return score
