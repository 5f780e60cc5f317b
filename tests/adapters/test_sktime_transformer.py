"""Scores and labels as a transformation of sktime: panels, hierarchies, pipelines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from pandas.testing import assert_frame_equal
from sktime.transformations.difference import Differencer

from tests.adapters._sktime import SPLIT, frame
from vetime_plugins.adapters.sktime import VETimeDetector, VETimeTransformer
from vetime_plugins.errors import InputError

QUANTILE = VETimeDetector(threshold="quantile", contamination=0.05)


@pytest.mark.parametrize("n_variables", [1, 2])
@pytest.mark.parametrize("levels", [1, 2], ids=["panel", "hierarchy"])
def test_a_panel_is_scored_series_by_series(levels, n_variables):
    singles = {name: frame(n_variables, seed=seed) for seed, name in enumerate(["north", "south"])}
    keys = list(singles) if levels == 1 else [("a", "north"), ("b", "south")]
    names = ["site"] if levels == 1 else ["region", "site"]
    panel = pd.concat(list(singles.values()), keys=keys, names=[*names, "time"])
    scores = VETimeTransformer().fit_transform(panel)
    labels = VETimeTransformer(QUANTILE, output="labels").fit_transform(panel)
    assert scores.index.equals(panel.index)
    for key, single in zip(keys, singles.values(), strict=True):
        expected = VETimeDetector().fit(single).transform_scores(single)
        np.testing.assert_array_equal(scores.loc[key].to_numpy(), expected.to_numpy())
        np.testing.assert_array_equal(labels.loc[key].to_numpy(), QUANTILE.clone().fit_transform(single))


def test_one_series_keeps_its_index_and_names_its_column():
    x = frame()
    x.index = pd.date_range("2024-03-30", periods=len(x), freq="h", name="time")
    found = VETimeTransformer().fit(x[:SPLIT]).transform(x[SPLIT:])
    assert_frame_equal(found, VETimeDetector().fit(x[:SPLIT]).transform_scores(x[SPLIT:]), check_freq=False)
    assert list(found.columns) == ["scores"]


def test_a_pipeline_has_scores():
    x = frame(1)
    found = (Differencer() * VETimeTransformer()).fit_transform(x)
    z = Differencer().fit_transform(x)
    np.testing.assert_array_equal(found, VETimeDetector().fit(z).transform_scores(z))


def test_new_points_join_the_reference():
    x = frame(1)
    detector = VETimeDetector(stride=20)
    transformer = VETimeTransformer(detector).fit(x[:SPLIT])
    transformer.update(x[SPLIT:])
    expected = detector.clone().fit(x[:SPLIT]).update(x[SPLIT:])
    assert_frame_equal(transformer.detector_.reference_, expected.reference_)
    assert not detector.is_fitted


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"output": "points"}, "'scores', 'labels'"), ({"detector": "VETime"}, "VETimeDetector, got str")],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(InputError, match=message):
        VETimeTransformer(**parameters)
    with pytest.raises(InputError, match=message):
        VETimeTransformer().set_params(**parameters)


def test_parameters_of_the_detector_can_be_set():
    transformer = VETimeTransformer(VETimeDetector(), output="labels").set_params(detector__threshold=0.5)
    x = frame(1)
    assert transformer.fit(x).detector_.threshold_ == 0.5
    assert transformer.detector.threshold == 0.5
