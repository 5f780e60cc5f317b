"""Detectors of the leaderboard: VETime by itself, and through each of its adapters.

Through an adapter it is run zero-shot and with the train part as reference data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from vetime_plugins.detectors.registry import Job, built_in
from vetime_plugins.errors import InputError

if TYPE_CHECKING:
    from vetime_plugins.pipeline import VETimePipeline

# What the model card of the bundled weights says.
_SYNTHETIC = ("generated",)
_LOOKED_AT = (
    "IOPS", "MERLION_SYN", "MSL_U", "NAB", "SMAP_U", "SMD_U", "TODS", "UCR", "WSD",
    "ASD_M", "MSL_M", "SKAB_M", "SMAP_M", "SMD_M", "textbook",
)  # fmt: skip
FLAGS: dict[str, Any] = {
    "multivariate": True,
    "uses_gpu": True,
    "takes_nan": True,
    "trained_on": _SYNTHETIC,
    "tuned_on": _LOOKED_AT,
}


def _parameters(job: Job, weights: str, readout: str | None) -> dict[str, Any]:
    return {"weights": weights, "readout": readout, "device": job.device}


@built_in("vetime", sees_train=False, requires=("torch",), framework="vetime_plugins", **FLAGS)
def _vetime(
    job: Job, *, weights: str = "small", readout: Any = None, correction: float | None = None
) -> Callable[[], ArrayLike]:
    changes = {} if correction is None else {"correction": correction}
    pipeline = changed_pipeline(weights, job.device, **changes)
    return lambda: pipeline.score(job.values, readout=readout)


def changed_pipeline(weights: str, device: str, **changes: Any) -> VETimePipeline:
    """Return the pipeline of some weights, with other values of its configuration where they are given.

    Raises
    ------
    InputError
        If the weights are not of a network that has them.
    """
    from vetime_plugins.network.config import VETimeConfig
    from vetime_plugins.network.model import VETime
    from vetime_plugins.pipeline import VETimePipeline, cached_pipeline

    pipeline = cached_pipeline(weights, device=device)
    config = pipeline.config
    if all(getattr(config, name, None) == value for name, value in changes.items()):
        return pipeline
    if not isinstance(config, VETimeConfig):
        raise InputError(f"{', '.join(changes)}: part of a VETime network; {weights!r} has none")
    model = VETime(replace(config, **changes))
    model.load_state_dict(pipeline.model.state_dict())
    return VETimePipeline(model, str(weights), pipeline.device)


@built_in("vetime-pyod", sees_train=False, requires=("pyod", "torch"), **FLAGS)
@built_in("vetime-pyod-train", sees_train=True, requires=("pyod", "torch"), **FLAGS)
def _pyod(job: Job, *, weights: str = "small", readout: str | None = None) -> Callable[[], ArrayLike]:
    from vetime_plugins.adapters.pyod import VETime

    detector = VETime(**_parameters(job, weights, readout)).fit(job.fitted_on)
    if job.n_fit == len(job.values):
        return lambda: detector.decision_scores_
    return lambda: detector.decision_function(job.values)


@built_in("vetime-sktime", sees_train=False, requires=("sktime", "torch"), **FLAGS)
@built_in("vetime-sktime-train", sees_train=True, requires=("sktime", "torch"), **FLAGS)
def _sktime(job: Job, *, weights: str = "small", readout: str | None = None) -> Callable[[], ArrayLike]:
    import pandas as pd

    from vetime_plugins.adapters.sktime import VETimeDetector

    frame = pd.DataFrame(job.values)
    detector = VETimeDetector(**_parameters(job, weights, readout)).fit(frame[: job.n_fit])
    return lambda: detector.transform_scores(frame)["scores"].to_numpy()


@built_in("vetime-darts", sees_train=False, requires=("darts", "torch"), **FLAGS)
@built_in("vetime-darts-train", sees_train=True, requires=("darts", "torch"), **FLAGS)
def _darts(job: Job, *, weights: str = "small", readout: str | None = None) -> Callable[[], ArrayLike]:
    from darts import TimeSeries

    from vetime_plugins.adapters.darts import VETimeScorer

    series = TimeSeries.from_values(job.values)
    scorer = VETimeScorer(**_parameters(job, weights, readout))
    if job.n_fit < len(series):
        scorer.fit(series[: job.n_fit])
    return lambda: scorer.score(series).values()


@built_in("vetime-merlion", sees_train=False, requires=("merlion", "torch"), **FLAGS)
@built_in("vetime-merlion-train", sees_train=True, requires=("merlion", "torch"), **FLAGS)
def _merlion(job: Job, *, weights: str = "small", readout: str | None = None) -> Callable[[], ArrayLike]:
    from merlion.utils import TimeSeries

    from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig
    from vetime_plugins.detectors.merlion import as_frame

    frame = as_frame(job)
    detector = VETimeDetector(VETimeDetectorConfig(**_parameters(job, weights, readout)))
    if job.n_fit < len(frame):
        detector.train(TimeSeries.from_pd(frame[: job.n_fit]))

    def score() -> ArrayLike:
        scores = detector.get_anomaly_score(TimeSeries.from_pd(frame)).to_pd()["anom_score"]
        return scores.reindex(frame.index).to_numpy()  # Merlion leaves out rows without any value

    return score
