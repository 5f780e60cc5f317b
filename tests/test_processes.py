"""One model in several processes, as users run it: spawned, in pools, in joblib's workers, in searches."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests._shared import noisy_wave
from vetime_plugins import VETimePipeline
from vetime_plugins.streaming import StreamingVETime

SERIES = [noisy_wave(150 + 10 * i, None if i % 2 else 2, seed=i) for i in range(8)]
UNIVARIATE = SERIES[1::2]


def score_in_own(series: np.ndarray) -> np.ndarray:
    return VETimePipeline.from_pretrained("small", device="cpu").score(series)


def pyod_detector() -> Any:
    return pytest.importorskip("vetime_plugins.adapters.pyod").VETime(device="cpu")


def sktime_detector() -> Any:
    pytest.importorskip("sktime")
    return pytest.importorskip("vetime_plugins.adapters.sktime").VETimeDetector(device="cpu")


def darts_scorer() -> Any:
    pytest.importorskip("darts")
    return pytest.importorskip("vetime_plugins.adapters.darts").VETimeScorer(device="cpu")


def use_pyod(detector: Any, series: np.ndarray) -> np.ndarray:
    return detector.fit(series.reshape(len(series), -1)).decision_scores_


def use_fitted_pyod(detector: Any, series: np.ndarray) -> np.ndarray:
    return detector.decision_function(series.reshape(len(series), -1))


def use_sktime(detector: Any, series: np.ndarray) -> np.ndarray:
    import pandas as pd

    frame = pd.DataFrame(series.reshape(len(series), -1))
    return detector.fit(frame).transform_scores(frame).to_numpy().ravel()


def use_darts(scorer: Any, series: np.ndarray) -> np.ndarray:
    from darts import TimeSeries

    whole = TimeSeries.from_values(series)
    return scorer.score_from_prediction(whole, whole * 0.9).values().ravel()


def test_four_spawned_processes_load_and_score() -> None:
    expected = [score_in_own(one) for one in SERIES]
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as processes:
        for found, one in zip(processes.map(score_in_own, SERIES), expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_a_pool_takes_the_method_of_a_loaded_pipeline() -> None:
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    expected = pipeline.score(SERIES)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(pipeline.score, SERIES)
        as_one = pool.apply(pipeline.score, (SERIES,))
    for one, other, third in zip(found, expected, as_one, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(third, other)


ADAPTERS = [(pyod_detector, use_pyod), (sktime_detector, use_sktime), (darts_scorer, use_darts)]


@pytest.mark.filterwarnings("ignore")  # of the frameworks in the workers' start
@pytest.mark.parametrize(("make", "use"), ADAPTERS, ids=["pyod", "sktime", "darts"])
def test_detectors_of_frameworks_go_to_workers(
    make: Callable[[], Any], use: Callable[[Any, np.ndarray], np.ndarray]
) -> None:
    joblib = pytest.importorskip("joblib")
    detector = make()
    expected = [use(copy.deepcopy(detector), one) for one in UNIVARIATE]
    found = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(use)(detector, one) for one in UNIVARIATE
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fitted_detector_goes_to_spawned_workers() -> None:
    detector = pyod_detector().fit(UNIVARIATE[0].reshape(-1, 1))
    expected = [use_fitted_pyod(detector, one) for one in UNIVARIATE]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(use_fitted_pyod, [(detector, one) for one in UNIVARIATE])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def mean_score(detector: Any, values: np.ndarray, labels: Any = None) -> float:
    return float(detector.decision_function(values).mean())


def test_a_grid_search_with_two_jobs_equals_one() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    values = noisy_wave(240).reshape(-1, 1)
    found = []
    for n_jobs in (1, 2):
        search = selection.GridSearchCV(
            pyod_detector(),
            {"contamination": [0.05, 0.2]},
            scoring=mean_score,
            cv=selection.KFold(2),
            n_jobs=n_jobs,
        )
        found.append(search.fit(values).cv_results_["split0_test_score"])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("fitted", [False, True])
def test_copies_of_a_detector_score_the_same(way: Callable[[Any], Any], fitted: bool) -> None:
    values = UNIVARIATE[0].reshape(-1, 1)
    detector = pyod_detector()
    if fitted:
        detector.fit(values)
    twin = way(detector)
    if not fitted:
        detector.fit(values)
        twin.fit(values)
    np.testing.assert_array_equal(twin.decision_scores_, detector.decision_scores_)
    np.testing.assert_array_equal(twin.decision_function(values), detector.decision_function(values))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_a_stream_go_on_alone(way: Callable[[Any], Any]) -> None:
    first, rest = noisy_wave(300)[:200], noisy_wave(300)[200:]
    stream = StreamingVETime(64, device="cpu")
    stream.warm_up(first)
    twin = way(stream)
    expected = stream.update(rest)
    np.testing.assert_array_equal(twin.update(rest), expected)
