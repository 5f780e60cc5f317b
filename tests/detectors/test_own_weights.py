"""Detectors with weights of their own: read from disk, never fetched, and named where they are missing."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from vetime_plugins import detectors
from vetime_plugins.detectors.sktime import _on_disk
from vetime_plugins.errors import MissingDependencyError

OWN = ("sktime-tspulse", "sktime-moment")


@pytest.mark.parametrize("name", [*OWN, "fracast-residual"])
def test_are_asked_for_by_name_only_and_flagged(name):
    detector = detectors.get(name)
    assert detector.slow
    assert detector.trained_on != ()


@pytest.mark.parametrize("name", OWN)
def test_what_is_not_installed_is_named(name):
    detector = detectors.get(name)
    if not detector.missing():
        pytest.skip("its packages are installed")
    with pytest.raises(MissingDependencyError, match=f"{name} needs .*{detector.missing()[0]}"):
        detector.fit_score(np.zeros(100), 0)


def test_weights_that_are_not_on_disk_are_named_and_not_fetched(monkeypatch, tmp_path):
    def refuse(*args):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    expected = (
        "sktime-moment needs the weights 'some/weights' on disk, and a run downloads nothing; fetch them "
        r'once with "hf download some/weights", or name their folder: sktime-moment\(backbone="FOLDER"\)'
    )
    with pytest.raises(MissingDependencyError, match=expected):
        _on_disk("sktime-moment", "backbone", "some/weights")
    assert _on_disk("sktime-moment", "weights", str(tmp_path)) == str(tmp_path)


class TestFracast:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("fracast", reason="fracast-residual needs the package fracast")

    def test_the_error_is_that_of_the_median(self):
        from fracast import FracastModel

        values = np.sin(2 * np.pi * np.arange(200) / 20) + 0.1 * np.random.default_rng(0).normal(size=200)
        scores = detectors.get("fracast-residual").fit_score(values, 0)
        model = FracastModel.from_pretrained()
        forecast = model.forecast(values[:112])[:, model.quantiles.index(0.5)]
        error = np.abs(values[112:160] - forecast) / values.std()
        np.testing.assert_allclose(scores[112:160], error, atol=1e-4)

    def test_later_points_do_not_change_a_score_but_for_the_unit(self):
        values = np.sin(2 * np.pi * np.arange(300) / 20)
        changed = values.copy()
        changed[200:] += 5
        one, other = (detectors.get("fracast-residual").fit_score(x, 0) for x in (values, changed))
        ratio = values.std() / changed.std()
        np.testing.assert_allclose(other[64:200], one[64:200] * ratio, atol=1e-4)
