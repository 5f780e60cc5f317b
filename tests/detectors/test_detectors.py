"""The leaderboard's detectors: every built-in one runs and keeps its promises; others can be added."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest

from vetime_plugins import VETimePipeline, detectors
from vetime_plugins.detectors import registry
from vetime_plugins.detectors.framework import FrameworkDetector, complete
from vetime_plugins.errors import InputError, MissingDependencyError
from vetime_plugins.network.checkpoint import resolve_folder

N, TRAIN, PERIOD = 300, 180, 20
SPIKES = slice(240, 246)
BUILT_IN = [name for name in detectors.names() if isinstance(detectors.get(name), FrameworkDetector)]
SLOW = {
    "darts-tcn",
    "merlion-default",
    "merlion-dagmm",
    "pyod-kshape",
    "pyod-sand",
    "sktime-capa",
}  # more than three seconds
UNSEEDED = {"merlion-default"}  # its forest draws in Java, and its configuration has no seed for it


def series(n_variables: int = 1, n: int = N) -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(n)[:, None]
    values = np.sin(2 * np.pi * (t + 3 * np.arange(n_variables)) / PERIOD)
    values += 0.1 * rng.standard_normal((n, n_variables))
    values[SPIKES] += 3
    return values


def installed(name: str) -> FrameworkDetector:
    detector = detectors.get(name)
    if detector.missing():
        pytest.skip(f"{name} needs {detector.missing()}")
    return detector


def of(condition) -> list:
    chosen = [name for name in BUILT_IN if condition(detectors.get(name))]
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in chosen]


def is_sound(scores: np.ndarray, n: int = N) -> None:
    assert scores.shape == (n,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", of(lambda detector: True))
def test_one_variable(name):
    detector = installed(name)
    scores = detector.fit_score(series(), TRAIN, PERIOD)
    is_sound(scores)
    if name not in {"random"} and not name.startswith("vetime"):
        # The onset at least stands out of the test part: some detectors only see changes.
        rest = np.delete(scores, np.r_[:TRAIN, SPIKES.start - PERIOD : SPIKES.stop + PERIOD])
        assert scores[SPIKES].max() > np.quantile(rest, 0.95)
    if name not in UNSEEDED:
        np.testing.assert_array_equal(detector.fit_score(series(), TRAIN, PERIOD), scores)


def test_vetime_takes_weights_readout_and_correction():
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    detector = detectors.get("vetime")
    as_shipped = detector.fit_score(series(), 0, PERIOD)
    np.testing.assert_allclose(as_shipped, pipeline.score(series()), atol=1e-6)
    window = detector.with_params(readout="window").fit_score(series(), 0, PERIOD)
    np.testing.assert_allclose(window, pipeline.score(series(), readout="window"), atol=1e-6)
    same = detector.with_params(correction=pipeline.config.correction).fit_score(series(), 0, PERIOD)
    np.testing.assert_allclose(same, as_shipped, atol=1e-6)
    corrected = detector.with_params(correction=0.5).fit_score(series(), 0, PERIOD)
    assert not np.allclose(corrected, as_shipped, atol=1e-3)
    other = detector.with_params(weights="expectation")
    expected = VETimePipeline.from_pretrained("expectation", device="cpu").score(series())
    np.testing.assert_allclose(other.fit_score(series(), 0, PERIOD), expected, atol=1e-6)
    with pytest.raises(InputError, match="'expectation' has none"):
        other.with_params(correction=0.0).fit_score(series(), 0, PERIOD)


@pytest.mark.parametrize("name", of(lambda detector: detector.supports_multivariate))
def test_several_variables(name):
    detector = installed(name)
    scores = detector.fit_score(series(3), TRAIN, PERIOD)
    is_sound(scores)
    if name not in UNSEEDED:
        np.testing.assert_array_equal(detector.fit_score(series(3), TRAIN, PERIOD), scores)


@pytest.mark.parametrize("name", of(lambda detector: not detector.supports_multivariate))
def test_several_variables_are_refused(name):
    with pytest.raises(InputError, match=f"{name} takes one variable, got 2"):
        detectors.get(name).fit_score(series(2), TRAIN, PERIOD)


def scores_locally(detector: FrameworkDetector) -> bool:
    return detector.sees_train and detector.name not in UNSEEDED and not detector.name.startswith("vetime")


@pytest.mark.parametrize("name", of(scores_locally))
def test_later_points_do_not_reach_the_fit(name):
    """What comes after the train part and the window around a point must not change its score."""
    detector = installed(name)
    changed = series()
    changed[-10:] = 50
    kept = slice(None, -10 - 2 * PERIOD)
    before = detector.fit_score(series(), TRAIN, PERIOD)
    after = detector.fit_score(changed, TRAIN, PERIOD)
    np.testing.assert_allclose(after[kept], before[kept], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", of(lambda detector: not detector.sees_train))
def test_no_train_part_is_needed_where_nothing_is_fitted(name):
    is_sound(installed(name).fit_score(series(), 0, PERIOD))


@pytest.mark.parametrize("name", of(lambda detector: True))
def test_gaps_and_constants(name):
    detector = installed(name)
    gaps = series()
    gaps[[0, 50, 51, 52, N - 1]] = np.nan
    is_sound(detector.fit_score(gaps, TRAIN, PERIOD))
    is_sound(detector.fit_score(np.full(N, 3.0), TRAIN, PERIOD))


@pytest.mark.parametrize("name", of(lambda detector: True))
def test_period_is_found_where_it_is_not_given_and_need_not_fit_the_train_part(name):
    detector = installed(name)
    is_sound(detector.fit_score(series(n=260), 60), 260)
    is_sound(detector.fit_score(series(n=260), 60, period=250), 260)


@pytest.mark.parametrize("name", of(lambda detector: detector.random and detector.name not in UNSEEDED))
def test_seed_decides(name):
    detector = installed(name)
    one, other = (detector.fit_score(series(), TRAIN, PERIOD, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(detector.fit_score(series(), TRAIN, PERIOD, seed=1), one)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", of(lambda detector: not detector.random))
def test_nothing_else_is_random(name):
    detector = installed(name)
    one, other = (detector.fit_score(series(), TRAIN, PERIOD, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n_variables", [1, 3])
@pytest.mark.parametrize("part", ["", "-train"])
@pytest.mark.parametrize("weights", ["small", "expectation"])
def test_vetime_gives_the_same_scores_through_all_adapters(n_variables, part, weights):
    found = {}
    for framework in ("pyod", "sktime", "darts", "merlion"):
        detector = detectors.get(f"vetime-{framework}{part}", weights=weights)
        if not detector.missing():
            found[framework] = detector.fit_score(series(n_variables), TRAIN, PERIOD)
    if len(found) < 2:
        pytest.skip("needs two frameworks")
    first = found.pop(next(iter(found)))
    for scores in found.values():
        np.testing.assert_allclose(scores, first, rtol=0, atol=1e-6)


class TestRunning:
    def test_global_state_is_put_back(self):
        name = "pyod-lstm" if not detectors.get("pyod-lstm").missing() else "random"
        detectors.get(name).fit_score(series(), TRAIN, PERIOD)  # the first import of torch sets filters
        random.seed(5)
        np.random.seed(5)
        states = random.getstate(), np.random.get_state()[1].tolist()
        filters = list(warnings.filters)
        detectors.get(name).fit_score(series(), TRAIN, PERIOD)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == states
        assert warnings.filters == filters

    def test_fit_and_score_can_be_timed_apart(self):
        detector = detectors.get("sub-knn")
        score = detector.fit(series(), TRAIN, PERIOD)
        np.testing.assert_array_equal(score(), detector.fit_score(series(), TRAIN, PERIOD))

    def test_values_are_not_changed(self):
        values = series()
        values[7] = np.nan
        given = values.copy()
        detectors.get("moving-variance").fit_score(values, TRAIN, PERIOD)
        np.testing.assert_array_equal(values, given)

    def test_parameters(self):
        detector = detectors.get("sub-knn", n_neighbors=2)
        assert detector.params == {"window": None, "n_neighbors": 2}
        assert detectors.get("sub-knn").params["n_neighbors"] == 5
        assert not np.array_equal(
            detector.fit_score(series(), TRAIN, PERIOD),
            detectors.get("sub-knn").fit_score(series(), TRAIN, PERIOD),
        )
        with pytest.raises(InputError, match=r"no parameter .*colour"):
            detectors.get("sub-knn", colour="red")

    def test_device(self):
        assert detectors.get("vetime-pyod").on("cuda").device == "cuda"
        assert detectors.get("pyod-knn").on("cuda").device == "cpu"

    @pytest.mark.parametrize(
        ("device", "accelerator", "devices"),
        [
            ("cpu", "cpu", 1),
            ("cuda", "gpu", 1),
            ("cuda:3", "gpu", [3]),
            ("mps", "mps", 1),
            ("auto", "auto", 1),
        ],
    )
    @pytest.mark.parametrize(
        ("name", "model"), [("darts-dlinear", "DLinearModel"), ("darts-tcn", "TCNModel")]
    )
    def test_device_reaches_the_networks_of_darts(
        self, monkeypatch, name, model, device, accelerator, devices
    ):
        detector = installed(name).on(device)
        asked = {}

        def network(**options):
            asked.update(options["pl_trainer_kwargs"])
            raise InterruptedError

        monkeypatch.setattr(f"darts.models.{model}", network)
        with pytest.raises(InterruptedError):
            detector.fit_score(series(), TRAIN, PERIOD)
        assert (asked["accelerator"], asked["devices"]) == (accelerator, devices)

    def test_versions(self):
        assert {"numpy", "scipy"} <= set(detectors.get("pyod-knn").versions())

    def test_weights_of_another_configuration_are_other_weights(self, tmp_path):
        shutil.copytree(resolve_folder("small"), tmp_path / "small")
        detector = detectors.get("vetime", weights=str(tmp_path / "small"))
        before = detector.versions()["weights"]
        record = json.loads((tmp_path / "small/config.json").read_text())
        record["config"]["correction"] = 0.0
        (tmp_path / "small/config.json").write_text(json.dumps(record))
        assert detector.versions()["weights"] != before

    @pytest.mark.parametrize(
        ("values", "train_length", "period", "message"),
        [
            (series()[:0], 0, 5, "at least one point"),
            (np.zeros((3, 3, 3)), 0, 5, "shape"),
            (["a", "b"], 0, 5, "numbers"),
            ([1.0, np.inf], 0, 5, "infinite"),
            (series(), N + 1, 5, "train_length"),
            (series(), -1, 5, "train_length"),
            (series(), TRAIN, 0, "period"),
        ],
    )
    def test_bad_input(self, values, train_length, period, message):
        with pytest.raises(InputError, match=message):
            detectors.get("moving-variance").fit_score(values, train_length, period)

    def test_a_fitted_detector_needs_a_train_part(self):
        with pytest.raises(InputError, match="pyod-knn needs a train part of 16 points, got 3"):
            detectors.get("pyod-knn").fit_score(series(), 3, PERIOD)

    def test_a_missing_framework_is_named(self):
        detector = FrameworkDetector(
            "x",
            "no_such_framework",
            {},
            False,
            True,
            lambda job: lambda: job.values,
            ("no_such_framework", "java"),
        )
        assert "no_such_framework" in detector.missing()
        with pytest.raises(MissingDependencyError, match="x needs no_such_framework"):
            detector.fit_score(series(), TRAIN, PERIOD)

    def test_listing_imports_no_framework(self):
        script = (
            "import sys; from vetime_plugins.leaderboard import detectors; detectors.names();"
            "print({'torch', 'pyod', 'sktime', 'darts', 'merlion', 'sklearn'} & set(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip() == "set()"


class TestComplete:
    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            ([np.nan, np.nan, 3, 4, np.nan], [3, 3, 3, 4, 4]),
            ([1, np.nan, np.nan, 2], [1, 1, 2, 2]),
            ([1, np.nan, 2], [1, 1, 2]),
            ([np.inf, 1, -np.inf, np.nan], [1, 1, 1, 1]),
            ([np.nan, np.nan], [0, 0]),
            ([np.inf], [0]),
            ([[5], [6]], [5, 6]),
        ],
    )
    def test_rule(self, given, wanted):
        np.testing.assert_array_equal(complete(given, len(wanted)), wanted)

    def test_length(self):
        with pytest.raises(InputError, match="each of 3 points, got 2"):
            complete([1, 2], 3)


class Constant:
    name = "constant"
    framework = "mine"
    params: ClassVar[dict] = {}
    sees_train = False
    supports_multivariate = True

    def fit_score(self, values, train_length, period=None, seed=0):
        return np.zeros(len(values))


class TestRegistry:
    @pytest.fixture(autouse=True)
    def restored(self, monkeypatch):
        monkeypatch.setattr(registry, "_REGISTERED", {})
        registry._offered.cache_clear()
        yield
        registry._offered.cache_clear()

    def test_names_are_unique_and_fit_for_files(self):
        assert len(set(BUILT_IN)) == len(BUILT_IN) >= 40
        assert all(name.replace("-", "").isalnum() and name == name.lower() for name in BUILT_IN)

    def test_by_framework(self):
        assert "darts-knn" in detectors.names("darts")
        assert not set(detectors.names("darts")) & set(detectors.names("pyod"))
        assert detectors.names("no_such_framework") == []

    @pytest.mark.parametrize("given", [Constant, Constant()], ids=["class", "object"])
    def test_register(self, given):
        assert detectors.register(given) is given
        assert "constant" in detectors.names()
        assert detectors.names("mine") == ["constant"]
        assert isinstance(detectors.get("constant"), detectors.Detector)
        with pytest.raises(InputError, match="no parameters to set"):
            detectors.get("constant", a=1)

    def test_registered_takes_the_place_of_a_built_in_one(self):
        detector = Constant()
        detector.name = "random"
        detectors.register(detector)
        assert detectors.get("random") is detector
        assert detectors.names().count("random") == 1

    def test_what_is_lacking_is_named(self):
        class Half:
            name = "half"
            params: ClassVar[dict] = {}

        with pytest.raises(InputError, match="no framework, sees_train, supports_multivariate, fit_score"):
            detectors.register(Half)

    def test_entry_point(self, monkeypatch):
        points = [
            EntryPoint("constant", f"{__name__}:Constant", detectors.GROUP),
            EntryPoint("broken", f"{__name__}:N", detectors.GROUP),
        ]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        assert {"constant", "broken"} <= set(detectors.names())
        assert isinstance(detectors.get("constant"), Constant)
        with pytest.raises(InputError, match="entry point 'broken'"):
            detectors.get("broken")

    def test_unknown_name(self):
        with pytest.raises(InputError, match=r"no detector 'knn'; there are: .*pyod-knn"):
            detectors.get("knn")
