"""Detectors of the leaderboard: detectors of sktime.

Two of them, SubLOF and CAPA, only label; their scores are 0 and 1. Two, TSPulse and MOMENT, have weights of
their own, which must be on disk: a run downloads nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vetime_plugins.detectors.registry import Job, built_in
from vetime_plugins.errors import MissingDependencyError

_REQUIRES = ("sktime",)
_MOMENT_LENGTH = 512  # points that MOMENT reads at once


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


@built_in(
    "sktime-tspulse",
    sees_train=False,
    multivariate=True,
    requires=("sktime", "torch", "transformers", "tsfm_public"),
    slow=True,
    trained_on=None,
)
def _tspulse(
    job: Job, *, weights: str = "ibm-granite/granite-timeseries-tspulse-r1"
) -> Callable[[], ArrayLike]:
    import pandas as pd
    from sktime.detection.tspulse import TSPulseAnomalyDetector

    folder = _on_disk("sktime-tspulse", "weights", weights)
    frame = pd.DataFrame(job.values, columns=[f"v{i}" for i in range(job.values.shape[1])])
    detector = TSPulseAnomalyDetector(model_path=folder).fit(frame)
    return lambda: detector.transform_scores(frame)["scores"].to_numpy()


@built_in(
    "sktime-moment",
    sees_train=False,
    multivariate=False,
    requires=("sktime", "torch", "transformers", "accelerate"),
    slow=True,
    trained_on=None,
)
def _moment(
    job: Job, *, weights: str = "AutonLab/MOMENT-1-small", backbone: str = "google/flan-t5-small"
) -> Callable[[], ArrayLike]:
    import pandas as pd
    import torch
    from sktime.detection.momentfm import MomentFMAnomalyDetector

    _on_disk("sktime-moment", "backbone", backbone)  # given by its name: MOMENT knows its width by that
    detector = MomentFMAnomalyDetector(
        pretrained_model_name_or_path=_on_disk("sktime-moment", "weights", weights),
        transformer_backbone=backbone,
        freeze_head=True,  # with the others frozen, nothing is fitted: zero-shot
        device="cpu",
    )
    values = job.values[:, 0]
    z = (values - values.mean()) / (values.std() or 1.0)
    detector.fit(pd.DataFrame(z[-_MOMENT_LENGTH:]))

    def score() -> ArrayLike:
        # sktime 1.2.0 takes each row of a frame for a series of its own, so its network is asked itself.
        width = min(_MOMENT_LENGTH, len(z))
        starts = [*range(0, len(z) - width, width), len(z) - width]
        windows = np.zeros((len(starts), 1, _MOMENT_LENGTH), dtype=np.float32)
        windows[:, 0, -width:] = [z[start : start + width] for start in starts]
        mask = np.zeros((len(starts), _MOMENT_LENGTH), dtype=np.float32)
        mask[:, -width:] = 1
        scores = np.empty(len(z))
        with torch.inference_mode():
            for number, start in enumerate(starts):
                one = slice(number, number + 1)
                read = detector.model.eval()(
                    x_enc=torch.from_numpy(windows[one]), input_mask=torch.from_numpy(mask[one])
                )
                error = np.abs(read.reconstruction.numpy() - windows[one])[0, 0, -width:]
                scores[start : start + width] = error
        return scores

    return score


def _on_disk(detector: str, parameter: str, name: str) -> str:
    """Return the folder of some weights: one that is named, or that of a repository in the hub's cache."""
    if Path(name).is_dir():
        return name
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        return str(snapshot_download(name, local_files_only=True))
    except ImportError:
        pass
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError):
        pass
    raise MissingDependencyError(
        f"{detector} needs the weights {name!r} on disk, and a run downloads nothing; fetch them once with "
        f'"hf download {name}", or name their folder: {detector}({parameter}="FOLDER")'
    )
