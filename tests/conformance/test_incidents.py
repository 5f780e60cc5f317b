"""The adapters tell of the incidents that the pipeline finds, under the same name everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vetime_plugins.errors import InputError
from vetime_plugins.pipeline import cached_pipeline

SPLIT = 400
WHAT = ("start", "end", "peak", "kind")


def frame(calm: bool = False) -> pd.DataFrame:
    """Three sensors, one of which fails for ten hours in the second half."""
    t = np.arange(800)[:, None]
    values = np.sin(2 * np.pi * (t + 5 * np.arange(3)) / 24)
    values += 0.1 * np.random.default_rng(0).normal(size=values.shape)
    if not calm:
        values[600:610, 1] += 4
    return pd.DataFrame(values, index=pd.date_range("2024-01-01", periods=800, freq="h"), columns=list("abc"))


@pytest.fixture(scope="module")
def expected():
    x = frame()
    return cached_pipeline().detect(x[SPLIT:], reference=x[:SPLIT], threshold=0.999).incidents


def pyod():
    module = pytest.importorskip("vetime_plugins.adapters.pyod", exc_type=ImportError)
    return module.VETime(threshold=0.999).fit(frame()[:SPLIT]), lambda x: x


def sktime():
    module = pytest.importorskip("vetime_plugins.adapters.sktime", exc_type=ImportError)
    return module.VETimeDetector(threshold=0.999).fit(frame()[:SPLIT]), lambda x: x


def darts():
    module = pytest.importorskip("vetime_plugins.adapters.darts", exc_type=ImportError)
    from darts import TimeSeries

    scorer = module.VETimeScorer(threshold=0.999).fit(TimeSeries.from_dataframe(frame()[:SPLIT]))
    return scorer, TimeSeries.from_dataframe


def merlion():
    module = pytest.importorskip("vetime_plugins.adapters.merlion", exc_type=ImportError)
    from merlion.utils import TimeSeries

    model = module.VETimeDetector(module.VETimeDetectorConfig(threshold=0.999))
    model.train(TimeSeries.from_pd(frame()[:SPLIT]))
    return model, TimeSeries.from_pd


@pytest.mark.parametrize("make", [pyod, sktime, darts, merlion], ids=lambda make: make.__name__)
def test_of_new_data(make, expected):
    detector, convert = make()
    found = detector.incidents(convert(frame()[SPLIT:]))
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert [getattr(one, name) for name in WHAT] == [getattr(other, name) for name in WHAT]
        assert one.severity == pytest.approx(other.severity, abs=1e-6)
        assert one.variables[0].name == other.variables[0].name
    worst = found[0]
    assert abs(worst.peak - 200) < 24
    assert worst.variables[0].name == "b"
    assert found.to_frame()["peak"][0] == frame().index[SPLIT + worst.peak]
    assert not len(detector.incidents(convert(frame()[SPLIT:]), threshold=2.0))
    with pytest.raises(InputError, match="threshold"):
        detector.incidents(convert(frame()[SPLIT:]), threshold="loud")


def test_of_the_fitted_series_in_pyod():
    module = pytest.importorskip("vetime_plugins.adapters.pyod", exc_type=ImportError)
    x, detector = frame(), module.VETime(threshold=0.99)
    assert not hasattr(detector, "incidents_")
    found = detector.fit(x).incidents_
    alone = cached_pipeline().detect(x, threshold=0.99).incidents
    assert [(one.start, one.end, one.kind) for one in found] == [(o.start, o.end, o.kind) for o in alone]
    assert found[0].variables[0].name == "b"
    with pytest.raises(InputError, match="latest 100 of 800"):
        _ = module.VETime(max_reference=100).fit(x).incidents_


def test_of_each_component_in_darts():
    module = pytest.importorskip("vetime_plugins.adapters.darts", exc_type=ImportError)
    from darts import TimeSeries

    series = TimeSeries.from_dataframe(frame())
    tables = module.VETimeScorer(component_wise=True, threshold=0.9999).incidents([series, series])
    assert [len(table) for table in tables] == [3, 3]
    a, b, c = tables[0]
    assert max(b, key=lambda one: one.severity).start in range(595, 612)
    assert not any(one.start in range(595, 612) for table in (a, c) for one in table)
    assert module.VETimeScorer(threshold=0.99).incidents(series)[0].variables[0].name == "b"


def test_after_a_context_in_merlion():
    module = pytest.importorskip("vetime_plugins.adapters.merlion", exc_type=ImportError)
    from merlion.utils import TimeSeries

    x = frame()
    past, now = TimeSeries.from_pd(x[:590]), TimeSeries.from_pd(x[590:650])
    model = module.VETimeDetector(module.VETimeDetectorConfig(threshold=0.9))
    found = model.incidents(now, past)
    assert found.length == 60
    scores = model.get_anomaly_score(now, past).to_pd().to_numpy()[:, 0]
    assert found[0].severity == scores.max()
    assert found[0].peak == scores.argmax()


class TestVariablesInSktime:
    @staticmethod
    def detector():
        module = pytest.importorskip("vetime_plugins.adapters.sktime", exc_type=ImportError)
        return module.VETimeDetector(threshold=0.999, identify_variables=True).fit(frame())

    def test_in_predict_and_transform(self):
        detector, x = self.detector(), frame()
        assert detector.clone().get_tag("capability:variable_identification")
        events = detector.predict(x)
        assert list(events.columns) == ["ilocs", "icolumns"]
        assert (events["icolumns"].str[0] == 1)[events["ilocs"].between(600, 609)].all()
        labels = detector.transform(x)
        assert list(labels.columns) == ["labels_a", "labels_b", "labels_c"]
        assert labels.index.equals(x.index)
        flagged = np.flatnonzero(labels.to_numpy().any(axis=1))
        np.testing.assert_array_equal(flagged, events["ilocs"])

    def test_of_columns_in_another_order(self):
        detector, x = self.detector(), frame()
        turned = detector.predict(x[["b", "c", "a"]])
        assert [[(i + 1) % 3 for i in one] for one in turned["icolumns"]] == list(
            detector.predict(x)["icolumns"]
        )

    def test_of_a_calm_series(self):
        detector = self.detector().set_params(threshold=1.5).fit(frame(calm=True))
        assert not len(detector.predict(frame(calm=True)))
        assert not detector.transform(frame(calm=True)).to_numpy().any()

    def test_after_update(self):
        detector, x = self.detector(), frame()
        detector.fit(x[:SPLIT]).update(x[SPLIT:])
        events = detector.predict(x[SPLIT:])
        assert len(events)
        assert all(events["icolumns"].str.len() > 0)
