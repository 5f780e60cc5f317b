"""What a newcomer sees at the defaults: calm series are quiet, and what anybody would see is flagged."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conformance.test_same_scores import ADAPTERS
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.thresholds import find_threshold

EXAMPLES = Path(__file__).parents[2] / "examples"


def wave(length: int, seed: int = 0) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(length) / 48) + 0.1 * np.random.default_rng(seed).normal(size=length)


def five_spikes() -> tuple[np.ndarray, list[slice]]:
    values = wave(1500)
    places = [200, 520, 770, 1100, 1333]
    values[places] += [2.0, -2.5, 3.0, 2.2, -2.8]
    return values, [slice(place, place + 1) for place in places]


def level_shift() -> tuple[np.ndarray, list[slice]]:
    values = np.random.default_rng(1).normal(size=1500)
    values[900:] += 8
    return values, [slice(880, 960)]


def dropped_sensor() -> tuple[np.ndarray, list[slice]]:
    values = 5 + wave(1500, seed=2)
    values[700:760] = 0
    return values, [slice(684, 776)]


def two_spikes_in_ninety_points() -> tuple[np.ndarray, list[slice]]:
    values = wave(90, seed=3)
    values[[30, 70]] += [3.0, -3.0]
    return values, [slice(30, 31), slice(70, 71)]


CASES = [five_spikes, level_shift, dropped_sensor, two_spikes_in_ninety_points]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("name", ADAPTERS)
def test_obvious_anomalies_are_flagged(name, case):
    adapter = ADAPTERS[name]
    values, places = case()
    frame = pd.DataFrame({"value": values}, index=pd.date_range("2026-01-01", periods=len(values), freq="h"))
    parameters = {"threshold": "auto"} if name == "pyod" else {}  # where `contamination` decides by default
    detector = adapter.fitted(frame, **parameters)
    flagged = adapter.score(detector, frame).to_numpy() > adapter.threshold(detector)
    assert [bool(flagged[place].any()) for place in places] == [True] * len(places)
    assert flagged.mean() < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_calm_series_are_quiet(seed):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=1500), np.sin(np.arange(1500) / 8) + 0.1 * rng.normal(size=1500)][seed % 2]
    scores = cached_pipeline().score(values)
    assert not (scores > find_threshold(scores, "auto")).any()


def test_gross_spikes_do_not_hide_the_faintest():
    traffic = runpy.run_path(str(EXAMPLES / "incidents.py"))["web_traffic"]()
    scores = cached_pipeline().score(traffic)
    flagged = np.flatnonzero(scores > find_threshold(scores, "auto"))
    assert flagged.tolist() == [150, 330, 640, 1020, 1200]
