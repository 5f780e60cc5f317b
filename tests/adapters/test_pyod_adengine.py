"""VETime inside PyOD's ADEngine: planned, run, compared and reported like a detector that PyOD ships."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pyod")

from pyod.utils.ad_engine import ADEngine

from vetime_plugins.adapters.pyod import VETime, register_with_adengine
from vetime_plugins.errors import InputError

N = 300
PROFILE = {"data_type": "time_series", "n_samples": N, "n_features": 1}


@pytest.fixture
def engine():
    return register_with_adengine(ADEngine(random_state=0))


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(0)
    values = np.sin(2 * np.pi * np.arange(N) / 25) + 0.1 * rng.normal(size=N)
    values[150:154] += 4
    return values


def names(plan):
    return [plan["detector_name"], *(alternative["detector_name"] for alternative in plan["alternatives"])]


def test_registration_changes_this_engine_alone(engine):
    assert engine.kb.get_algorithm("VETime") is not None
    assert ADEngine().kb.get_algorithm("VETime") is None
    assert names(ADEngine().plan_detection(PROFILE))[0] != "VETime"


def test_entry_has_the_fields_of_those_that_pyod_ships(engine):
    entry, shipped = engine.kb.get_algorithm("VETime"), engine.kb.get_algorithm("LSTMAD")
    assert set(entry) == set(shipped) - {"version_added"}
    for field, value in entry.items():
        assert type(value) is type(shipped[field]), field
    assert entry["default_params"] == VETime().get_params()


def test_registering_again_replaces(engine):
    n_rules = len(engine.kb.routing_rules["rules"])
    register_with_adengine(engine, confidence=0.1, threshold="pot")
    assert len(engine.kb.routing_rules["rules"]) == n_rules
    assert "VETime" not in names(engine.plan_detection(PROFILE))
    assert engine.kb.get_algorithm("VETime")["default_params"]["threshold"] == "pot"


@pytest.mark.parametrize("n", [50, 300, 50_000])
def test_it_is_the_first_choice_for_time_series_and_for_nothing_else(engine, n):
    assert names(engine.plan_detection({**PROFILE, "n_samples": n}))[0] == "VETime"
    assert "VETime" not in names(engine.plan_detection({**PROFILE, "data_type": "tabular"}, top_k=20))
    plan = engine.plan_detection(PROFILE, constraints={"exclude_detectors": ["VETime"]})
    assert "VETime" not in names(plan)


def test_confidence_ranks_it():
    engine = register_with_adengine(ADEngine(), confidence=0.82)
    chosen = names(engine.plan_detection(PROFILE))
    assert chosen[0] == "KShape"
    assert chosen[1] == "VETime"


def test_several_variants(engine):
    params = {"readout": "window", "contamination": 0.02}
    register_with_adengine(engine, name="VETime-window", confidence=0.95, **params)
    plan = engine.plan_detection(PROFILE)
    assert names(plan)[:2] == ["VETime-window", "VETime"]
    assert engine.build_detector(plan).get_params() == VETime(**params).get_params()
    assert engine.build_detector(plan["alternatives"][0]).get_params() == VETime().get_params()


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, lambda x: np.c_[x, x[::-1]]])
def test_detect(engine, values, kind):
    train, test = kind(values), kind(values[:200])
    result = engine.detect(train, X_test=test, data_type="time_series")
    expected = VETime().fit(train)
    assert isinstance(result["detector"], VETime)
    np.testing.assert_array_equal(result["scores_train"], expected.decision_scores_)
    np.testing.assert_array_equal(result["labels_train"], expected.labels_)
    np.testing.assert_array_equal(result["scores_test"], expected.decision_function(test))
    np.testing.assert_array_equal(result["labels_test"], expected.predict(test))
    assert result["threshold"] == expected.threshold_
    assert result["n_anomalies"] == result["analysis"]["n_anomalies"] == expected.labels_.sum()
    assert "using VETime" in result["analysis"]["summary"]
    assert "**Detector:** VETime" in engine.generate_report(result, result["analysis"])
    explained = engine.explain_findings(result, top_k=2, X=train)
    assert explained[0]["index"] == expected.decision_scores_.argmax()
    suggestion = engine.suggest_next_step(result, result["analysis"], feedback="too many false positives")
    assert suggestion["threshold_adjustment"]["current_contamination"] == 0.1


@pytest.mark.filterwarnings("ignore")  # the other detectors' own
def test_investigate(engine, values):
    register_with_adengine(engine, name="VETime-window", confidence=0.89, readout="window")
    state = engine.investigate(values, data_type="time_series")
    results = {result["detector_name"]: result for result in state.results}
    assert len(results) == 3
    for name, readout in (("VETime", None), ("VETime-window", "window")):
        assert results[name]["status"] == "success", results[name]["error"]
        expected = VETime(readout=readout).fit(values)
        np.testing.assert_array_equal(results[name]["scores_train"], expected.decision_scores_)
    assert state.consensus["n_detectors"] == 3
    assert state.analysis["best_detector"] in results
    assert state.next_action["action"] in ("report_to_user", "iterate")
    assert state.analysis["best_detector"] in engine.report(state)
    labels = (np.abs(np.arange(N) - 151.5) < 2).astype(int)
    assert set(engine.validate(state, labels)["per_detector"]) == set(results)


def test_compare_list_and_explain(engine):
    ours, theirs = engine.compare_detectors(["VETime", "KShape"])
    assert ours["name"] == "VETime"
    assert set(theirs) - set(ours) == {"version_added"}
    n_series = len(engine.list_detectors(data_type="time_series"))
    compared = engine.compare_detectors(data_type="time_series", top_k=n_series)
    assert "VETime" in [detector["name"] for detector in compared]
    assert "VETime" not in [detector["name"] for detector in engine.list_detectors(data_type="tabular")]
    assert engine.explain_detector("VETime")["requires"] == ["torch"]


def test_plans_made_by_a_caller(engine):
    offered = engine.get_kb_for_routing(PROFILE)["available_detectors"]
    assert "VETime" in [detector["name"] for detector in offered]
    plan = engine.make_plan(["VETime", "KShape"], params=[{"threshold": "std"}])
    assert plan["params"] == {"threshold": "std", "contamination": 0.1}
    assert engine.build_detector(plan).threshold == "std"


def test_entries_do_not_share_state():
    first, second = (register_with_adengine(ADEngine()) for _ in range(2))
    first.kb.algorithms["VETime"]["strengths"].append("changed")
    assert "changed" not in second.kb.algorithms["VETime"]["strengths"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.5}, r"\[0, 1\].*1.5"),
        ({"window_size": 50}, r"\['window_size'\] are not parameters of VETime.*max_reference"),
        ({"name": "KNN"}, "'KNN' is another detector"),
    ],
)
def test_bad_registrations_change_nothing(options, message):
    engine = ADEngine()
    before = engine.kb.get_algorithm(options.get("name", "VETime"))
    n_rules = len(engine.kb.routing_rules["rules"])
    with pytest.raises(InputError, match=message):
        register_with_adengine(engine, **options)
    assert engine.kb.get_algorithm(options.get("name", "VETime")) == before
    assert len(engine.kb.routing_rules["rules"]) == n_rules
