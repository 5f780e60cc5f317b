"""The selection inside PyOD's ADEngine."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pyod")

from pyod.utils.ad_engine import ADEngine

from tests.selection._fakes import wave
from vetime_plugins.errors import InputError
from vetime_plugins.selection import SelectedDetector, register_selection_with_adengine

PROFILE = {"data_type": "time_series", "n_samples": 300, "n_features": 1}
PARAMS = {"candidates": ["sub-knn", "moving-variance"], "budget": None, "n_trials": 2}


@pytest.fixture
def engine():
    return register_selection_with_adengine(ADEngine(random_state=0), **PARAMS)


def test_plan_and_entry(engine):
    plan = engine.plan_detection(PROFILE)
    assert plan["detector_name"] == "SelectedDetector"
    assert engine.build_detector(plan).get_params() == SelectedDetector(**PARAMS).get_params()
    entry, shipped = engine.kb.get_algorithm("SelectedDetector"), engine.kb.get_algorithm("LSTMAD")
    assert set(entry) == set(shipped) - {"version_added"}
    assert ADEngine().kb.get_algorithm("SelectedDetector") is None


def test_detect(engine):
    series = wave(300)
    series[150] += 5
    result = engine.detect(series, data_type="time_series")
    expected = SelectedDetector(**PARAMS).fit(series)
    np.testing.assert_array_equal(result["scores_train"], expected.decision_scores_)
    assert result["detector"].selection_.name == expected.selection_.name


def test_session(engine):
    series = wave(300)
    series[150:155] += 5
    state = engine.run(engine.plan(engine.start(series, data_type="time_series")))
    results = {result["detector_name"]: result for result in state.results}
    assert results["SelectedDetector"]["status"] == "success", results["SelectedDetector"]
    assert results["SelectedDetector"]["scores_train"][150:155].max() == max(
        results["SelectedDetector"]["scores_train"]
    )
    assert "SelectedDetector" in str(engine.analyze(state).analysis)


def test_registering_again_replaces(engine):
    n_rules = len(engine.kb.routing_rules["rules"])
    register_selection_with_adengine(engine, confidence=0.1)
    assert len(engine.kb.routing_rules["rules"]) == n_rules
    assert engine.plan_detection(PROFILE)["detector_name"] != "SelectedDetector"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.5}, r"\[0, 1\].*1.5"),
        ({"window": 50}, r"\['window'\] are not parameters of SelectedDetector"),
        ({"name": "KNN"}, "'KNN' is another detector"),
    ],
)
def test_bad_registrations(options, message):
    with pytest.raises(InputError, match=message):
        register_selection_with_adengine(ADEngine(), **options)
