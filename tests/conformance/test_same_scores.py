"""One series, one set of scores in every framework: each adapter is compared with the bare pipeline."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from vetime_plugins.adapters import _shared
from vetime_plugins.errors import InputWarning
from vetime_plugins.pipeline import VETimePipeline, cached_pipeline
from vetime_plugins.thresholds import find_threshold

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH, SPIKE = 400, slice(290, 296)
RULES = ["auto", "quantile", "std", "pot", 0.3]


@dataclass(frozen=True)
class Adapter:
    """How one framework's users get scores; all functions take data frames of shape (T, C)."""

    module: str
    name: str
    requires: str
    fit: Callable  # (class, reference, parameters) -> detector
    score: Callable  # (detector, series) -> Series of scores on the framework's own index
    threshold: Callable  # detector -> float

    def load(self):
        pytest.importorskip(self.requires)
        return getattr(importlib.import_module(f"vetime_plugins.adapters.{self.module}"), self.name)

    def fitted(self, reference, **parameters):
        return self.fit(self.load(), reference, parameters)


def _pyod_score(detector, frame):
    return pd.Series(detector.decision_function(frame), index=frame.index)  # PyOD gives arrays


def _sktime_score(detector, frame):
    return detector.transform_scores(frame)["scores"]


def _darts_series(frame):
    from darts import TimeSeries

    return TimeSeries.from_dataframe(frame)


def _darts_score(scorer, frame):
    scores = scorer.score(_darts_series(frame))
    return pd.Series(scores.values()[:, 0], index=scores.time_index)


def _merlion_series(frame):
    from merlion.utils import TimeSeries

    return TimeSeries.from_pd(frame, drop_nan=False)


def _merlion_fit(_, frame, parameters):
    from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig

    model = VETimeDetector(VETimeDetectorConfig(**parameters))
    model.train(_merlion_series(frame))
    return model


def _merlion_score(model, frame):
    scores = model.get_anomaly_score(_merlion_series(frame)).to_pd()
    return scores["anom_score"]


ADAPTERS = {
    "pyod": Adapter(
        "pyod",
        "VETime",
        "pyod",
        fit=lambda cls, frame, parameters: cls(**parameters).fit(frame),
        score=_pyod_score,
        threshold=lambda detector: detector.threshold_,
    ),
    "sktime": Adapter(
        "sktime",
        "VETimeDetector",
        "sktime",
        fit=lambda cls, frame, parameters: cls(**parameters).fit(frame),
        score=_sktime_score,
        threshold=lambda detector: detector.threshold_,
    ),
    "darts": Adapter(
        "darts",
        "VETimeScorer",
        "darts",
        fit=lambda cls, frame, parameters: cls(**parameters).fit(_darts_series(frame)),
        score=_darts_score,
        threshold=lambda scorer: scorer.threshold_,
    ),
    "merlion": Adapter(
        "merlion",
        "VETimeDetectorConfig",
        "merlion",
        fit=_merlion_fit,
        score=_merlion_score,
        threshold=lambda model: model.threshold.alm_threshold,
    ),
}


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    adapter = ADAPTERS[request.param]
    adapter.load()
    return adapter


def make_frame(width=1, *, seed=0, gaps=False, length=LENGTH, index=None):
    rng = np.random.default_rng(seed)
    steps = np.arange(length)[:, None] + 5 * np.arange(width)
    values = (1 + np.arange(width)) * (
        np.sin(2 * np.pi * steps / 24) + 0.1 * rng.normal(size=(length, width))
    )
    values[SPIKE, 0] += 3
    if gaps:
        values[100:110] = np.nan
        values[200, width - 1] = np.nan
        values[:2, 0] = np.nan
    if index is None:
        index = pd.date_range("2024-03-30", periods=length, freq="h")
    return pd.DataFrame(values, index=index, columns=[f"s{(7 * i) % 10}" for i in range(width)])


CASES = pytest.mark.parametrize(
    ("width", "gaps", "length"),
    [(1, False, 400), (3, False, 400), (1, True, 400), (3, True, 400), (2, False, 9)],
)


@CASES
@pytest.mark.parametrize("readout", [None, "window"])
def test_the_fitted_series(adapter, width, gaps, length, readout):
    frame = make_frame(width, gaps=gaps, length=length)
    expected = cached_pipeline().score(frame.to_numpy(), readout=readout)
    scores = adapter.score(adapter.fitted(frame, readout=readout), frame)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


@CASES
def test_another_series_than_the_fitted_one(adapter, width, gaps, length):
    reference = make_frame(width, seed=1, gaps=gaps)
    frame = make_frame(width, gaps=gaps, length=length)
    expected = cached_pipeline().score(frame.to_numpy(), reference=reference.to_numpy())
    scores = adapter.score(adapter.fitted(reference), frame)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("max_reference", [150, 1000])
def test_a_bounded_reference(adapter, max_reference):
    reference, frame = make_frame(2, seed=1), make_frame(2)
    expected = cached_pipeline().score(frame.to_numpy(), reference=reference.to_numpy()[-max_reference:])
    scores = adapter.score(adapter.fitted(reference, max_reference=max_reference), frame)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


@CASES
@pytest.mark.parametrize("name", ["darts", "merlion"])  # PyOD and sktime ask for fit
def test_without_fit(name, width, gaps, length):
    adapter = ADAPTERS[name]
    detector = adapter.load()()
    if name == "merlion":
        from vetime_plugins.adapters.merlion import VETimeDetector

        detector = VETimeDetector(detector)
    frame = make_frame(width, gaps=gaps, length=length)
    expected = cached_pipeline().score(frame.to_numpy())
    np.testing.assert_allclose(adapter.score(detector, frame), expected, rtol=0, atol=1e-6)


def test_the_fitted_series_beyond_the_bound_is_not_its_own_reference(adapter):
    frame = make_frame(2)
    expected = cached_pipeline().score(frame.to_numpy())
    scores = adapter.score(adapter.fitted(frame, max_reference=150), frame)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings(
    "ignore:the '(std|pot)' threshold:UserWarning", "ignore:contamination=:UserWarning"
)
@pytest.mark.parametrize("rule", RULES)
def test_thresholds(adapter, rule):
    frame = make_frame(2)
    expected = find_threshold(cached_pipeline().score(frame.to_numpy()), rule, contamination=0.03)
    detector = adapter.fitted(frame, threshold=rule, contamination=0.03)
    assert adapter.threshold(detector) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("freq", ["15min", "D", "W-SUN", "MS"])
def test_time_index(adapter, freq):
    index = pd.date_range("1950-01-01", periods=LENGTH, freq=freq, name="time")
    frame = make_frame(2, index=index)
    scores = adapter.score(adapter.fitted(frame), frame)
    pd.testing.assert_index_equal(scores.index, index, check_names=False, exact="equiv")


@pytest.mark.parametrize("name", ["pyod", "sktime"])  # Darts and Merlion drop time zones themselves
def test_time_zone(name):
    adapter = ADAPTERS[name]
    adapter.load()
    # includes the night in March that lacks an hour
    index = pd.date_range("2024-03-30", periods=LENGTH, freq="h", tz="Europe/Berlin")
    frame = make_frame(2, index=index)
    scores = adapter.score(adapter.fitted(frame), frame)
    pd.testing.assert_index_equal(scores.index, index)
    np.testing.assert_allclose(scores, cached_pipeline().score(frame.to_numpy()), rtol=0, atol=1e-6)


def test_every_column_arrives_in_order(adapter, monkeypatch):
    reference, frame = make_frame(4, seed=1), make_frame(4)
    detector = adapter.fitted(reference)
    seen, score = [], VETimePipeline.score

    def spy(self, series, *, reference=None, **options):
        seen.append((series, reference))
        return score(self, series, reference=reference, **options)

    monkeypatch.setattr(VETimePipeline, "score", spy)
    adapter.score(detector, frame)
    series, known = seen[0]
    while isinstance(series, list):
        series = series[0]
    while isinstance(known, list):  # several series, and of each reference several stretches
        known = known[0]
    np.testing.assert_array_equal(np.asarray(series), frame.to_numpy())
    np.testing.assert_array_equal(np.asarray(known), reference.to_numpy())


def test_common_parameters_have_common_defaults(adapter):
    parameters = inspect.signature(adapter.load()).parameters
    expected = dict(_shared.DEFAULTS)
    if adapter.module == "pyod":  # whose users expect that `contamination` decides
        expected["threshold"] = "quantile"
    assert {name: parameters[name].default for name in _shared.DEFAULTS} == expected


def test_registry_is_complete():
    files = Path(_shared.__file__).parent.glob("[!_]*.py")
    assert {path.stem for path in files} == {adapter.module for adapter in ADAPTERS.values()}


def test_doubtful_columns_are_named_in_every_framework(adapter):
    frame = make_frame(2).assign(is_anomaly=0.0)
    frame.iloc[SPIKE, 2] = 1
    with pytest.warns(InputWarning, match="a column 'is_anomaly' of 0 and 1 alone"):
        adapter.fitted(frame)
    frame = frame.rename(columns={"is_anomaly": "valve"})
    adapter.score(adapter.fitted(frame), frame)  # pytest makes errors of warnings


def test_windows_in_place_of_the_series_are_seen_in_every_framework(adapter):
    frame = make_frame(1)
    lags = pd.DataFrame({f"lag{i}": frame["s0"].shift(i) for i in range(4)}).iloc[4:]
    with pytest.warns(InputWarning, match="lag matrix: 3 of 4 columns"):
        adapter.fitted(lags)
