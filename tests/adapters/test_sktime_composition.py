"""The sktime adapter where its users put detectors: pipelines, panels, tuning."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from pandas.testing import assert_frame_equal, assert_index_equal
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import StandardScaler
from sktime.detection.compose import DetectorAsTransformer, DetectorPipeline
from sktime.performance_metrics.detection import WindowedF1Score
from sktime.transformations.difference import Differencer
from sktime.transformations.exponent import ExponentTransformer

from tests.adapters._sktime import SPLIT, N, frame
from vetime_plugins.adapters.sktime import VETimeDetector
from vetime_plugins.errors import InputError


@pytest.mark.parametrize(
    "make",
    [
        lambda: Differencer() * VETimeDetector(threshold="quantile", contamination=0.05),
        lambda: StandardScaler() * VETimeDetector(threshold="quantile", contamination=0.05),
        lambda: (
            StandardScaler()
            * ExponentTransformer(3)
            * VETimeDetector(threshold="quantile", contamination=0.05)
        ),
        lambda: (
            ExponentTransformer(3)
            * (Differencer() * VETimeDetector(threshold="quantile", contamination=0.05))
        ),
        lambda: DetectorPipeline(
            [
                ("cube", ExponentTransformer(3)),
                ("vetime", VETimeDetector(threshold="quantile", contamination=0.05)),
            ]
        ),
    ],
    ids=["sktime", "scikit-learn", "three steps", "nested", "named"],
)
def test_pipelines(make):
    x = frame().set_axis(pd.date_range("2024-01-01", periods=N, freq="h"))
    pipe = make().fit(x[:SPLIT])
    events = pipe.predict(x[SPLIT:])
    transformed_train, transformed = x[:SPLIT], x[SPLIT:]
    for _, step in make().steps_[:-1]:
        transformed_train = step.fit_transform(transformed_train)
        transformed = step.transform(transformed)
    expected = VETimeDetector(threshold="quantile", contamination=0.05).fit(transformed_train)
    assert_frame_equal(events, expected.predict(transformed))
    assert len(events)
    assert pipe.transform(x[SPLIT:])["labels"].sum() == len(events)
    assert len(pipe.predict_segments(x[SPLIT:])) >= len(events)
    assert pipe.clone().get_params().keys() == pipe.get_params().keys()


def test_pipeline_parameters_and_update():
    x = frame().set_axis(pd.date_range("2024-01-01", periods=N, freq="h"))
    pipe = Differencer() * VETimeDetector(threshold="quantile")
    # sktime's pipeline fits the steps it copied when it was made: clone it after setting parameters of a step
    pipe = pipe.set_params(VETimeDetector__contamination=0.01).clone()
    assert pipe.fit(x[:SPLIT]).estimator_.contamination == 0.01
    with pytest.raises(InputError, match="contamination"):
        pipe.set_params(VETimeDetector__contamination=2)


def test_pipeline_updates_with_frames():
    x = frame().set_axis(pd.date_range("2024-01-01", periods=N, freq="h"))
    pipe = (StandardScaler() * VETimeDetector()).fit(x[:SPLIT])
    pipe.update(x[SPLIT:])  # sktime's pipeline fits again on all it has seen
    assert_index_equal(pipe.estimator_.reference_.index, x.index, exact=True)


def test_scores_of_a_pipeline():
    # sktime's pipeline has no transform_scores; docs/sktime.md shows this instead
    x = frame()
    pipe = (Differencer() * VETimeDetector()).fit(x[:SPLIT])
    z = x[SPLIT:]
    for _, step in pipe.steps_[:-1]:
        z = step.transform(z)
    scores = pipe.estimator_.transform_scores(z)["scores"]
    np.testing.assert_array_equal(
        pipe.predict(x[SPLIT:])["ilocs"], np.flatnonzero(scores > pipe.estimator_.threshold_)
    )


@pytest.mark.parametrize("levels", [1, 2], ids=["panel", "hierarchy"])
def test_panels(levels):
    singles = {name: frame(1, seed=seed) for seed, name in enumerate(["north", "south"])}
    keys = list(singles) if levels == 1 else [("a", "north"), ("b", "south")]
    names = ["site"] if levels == 1 else ["region", "site"]
    panel = pd.concat(list(singles.values()), keys=keys, names=[*names, "time"])
    transformer = DetectorAsTransformer(VETimeDetector(threshold="quantile", contamination=0.05))
    out = transformer.fit_transform(panel)
    for key, single in zip(keys, singles.values(), strict=True):
        expected = VETimeDetector(threshold="quantile", contamination=0.05).fit_transform(single)
        np.testing.assert_array_equal(out.loc[key].to_numpy(), expected.to_numpy())
        assert expected["labels"].sum() == round(0.05 * N)
    assert out.index.get_level_values("time").nunique() == N


def test_panels_of_several_variables():
    # the class attribute is how docs/sktime.md makes sktime hand over all variables at once
    class FramesDetectorAsTransformer(DetectorAsTransformer):
        _tags: ClassVar = {"X_inner_mtype": "pd.DataFrame"}

    singles = {name: frame(seed=seed) for seed, name in enumerate(["north", "south"])}
    panel = pd.concat(singles, names=["site", "time"])
    out = FramesDetectorAsTransformer(VETimeDetector(threshold="quantile", contamination=0.05)).fit_transform(
        panel
    )
    for name, single in singles.items():
        expected = VETimeDetector(threshold="quantile", contamination=0.05).fit_transform(single)
        np.testing.assert_array_equal(out.loc[name].to_numpy(), expected.to_numpy())


def test_tuning():
    x = frame()
    wanted = {"contamination": 0.02, "threshold": "quantile"}
    truth = VETimeDetector(**wanted).fit_predict(x)
    grid = list(ParameterGrid({"contamination": [0.4, 0.02], "threshold": [2.0, "quantile"]}))
    metric, base = WindowedF1Score(margin=1), VETimeDetector()
    found = [metric(truth, base.clone().set_params(**point).fit_predict(x), X=x) for point in grid]
    assert grid[int(np.argmax(found))] == wanted
    assert max(found) == 1 > sorted(found)[-2]
