"""Warnings about doubtful input: each comes where it should, and none comes on ordinary data."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests._tiny import save_tiny_weights
from vetime_plugins.errors import InputError, InputWarning
from vetime_plugins.pipeline import VETimePipeline
from vetime_plugins.series.guards import SHORTEST, refuse_doubtful, warn_of_doubtful
from vetime_plugins.series.inputs import Series, as_series

N = 400
RNG = np.random.default_rng(0)
SENSORS = RNG.normal(size=(N, 3))
SWITCH = (np.arange(N) // 7 % 5 == 0).astype(float)
RARE = np.zeros(N)
RARE[300:320] = 1


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return VETimePipeline.from_pretrained(save_tiny_weights(tmp_path_factory.mktemp("weights")), device="cpu")


def warned(series: Any, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_doubtful([as_series(series)], **options)
    assert all(one.category is InputWarning for one in caught)
    return [str(one.message) for one in caught]


def windows(values: np.ndarray, width: int, stride: int = 1) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, width)[::stride]


def framed(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"flow": SENSORS[:, 0], "level": SENSORS[:, 1], **columns})


class TestLagMatrix:
    @pytest.mark.parametrize(
        "matrix",
        [
            windows(SENSORS[:, 0], 10),
            windows(SENSORS[:, 0], 10)[:, ::-1],
            windows(SENSORS[:, 0], 100),
            windows(SENSORS[:, 0], 12, stride=4),
            windows(SENSORS.ravel(), 18, stride=3),
            np.column_stack([np.roll(SENSORS[:, 0], lag)[48:] for lag in (0, 24, 48)]),
        ],
        ids=["windows", "newest first", "wide", "strides", "three variables", "daily lags"],
    )
    def test_is_warned_of(self, matrix):
        (message,) = warned(matrix)
        assert "lag matrix" in message

    def test_gaps_that_are_shifted_too_do_not_hide_it(self):
        values = SENSORS[:, 0].copy()
        values[50:60] = np.nan
        frame = pd.DataFrame({f"lag {lag}": pd.Series(values).shift(lag) for lag in range(5)})
        assert "lag matrix" in warned(frame)[0]

    @pytest.mark.parametrize(
        "values",
        [
            SENSORS,
            np.column_stack([SENSORS, SENSORS]),
            np.column_stack([SWITCH, np.roll(SWITCH, 3), np.roll(SWITCH, 6)]),
            np.column_stack([SENSORS, np.roll(SENSORS[:, 0], 3)]),
            np.column_stack([SENSORS[:, 0], np.roll(SENSORS[:, 0], 3)]),
            np.column_stack([SENSORS[:, 0], 1.01 * np.roll(SENSORS[:, 0], 1)]),
        ],
        ids=[
            "noise",
            "the same twice",
            "switches",
            "one delayed sensor of four",
            "of two",
            "a delayed other sensor",
        ],
    )
    def test_is_not_seen_in(self, values):
        assert warned(values) == []


class TestLabels:
    @pytest.mark.parametrize("name", ["label", "is_anomaly", "Anomaly", "target", "Ground Truth", "y"])
    @pytest.mark.parametrize("values", [RARE, SWITCH.astype(bool)], ids=["rare", "often"])
    def test_are_known_by_name(self, name, values):
        (message,) = warned(framed(**{name: values}))
        assert f"{name!r} of 0 and 1 alone" in message

    def test_without_a_name_are_known_by_what_they_hold(self):
        (message,) = warned(np.column_stack([SENSORS, RARE]))
        assert "looks like labels" in message
        assert "5.0%" in message

    def test_numbers_of_columns_are_no_names(self):
        assert "looks like labels" in warned(pd.DataFrame(np.column_stack([SENSORS, RARE])))[0]

    @pytest.mark.parametrize(
        "series",
        [
            framed(pump=RARE),
            framed(target=SENSORS[:, 2]),
            framed(y=SENSORS[:, 2]),
            np.column_stack([SENSORS, SWITCH]),
            np.column_stack([SENSORS, 1 - RARE]),
            np.column_stack([SENSORS, RARE, np.roll(RARE, 100)]),
            np.column_stack([SENSORS, RARE, SENSORS[:, 0] * 2]),
            np.column_stack([RARE, SENSORS]),
            np.column_stack([np.round(10 * SENSORS), RARE]),
            np.column_stack([SENSORS, 0 * RARE]),
            RARE,
        ],
        ids=[
            "a named switch",
            "a target of numbers",
            "y of numbers",
            "a switch that is often on",
            "a switch that is mostly on",
            "two switches",
            "a switch in the middle",
            "a switch in front",
            "counts",
            "a switch that rests",
            "a switch alone",
        ],
    )
    def test_are_not_seen_in(self, series):
        assert warned(series) == []


class TestTime:
    @pytest.mark.parametrize(
        "times",
        [
            np.arange(N),
            np.linspace(0, 1, N),
            1.6e9 + 60 * np.arange(N),
            1.6e9 + 60.0 * np.flatnonzero(RNG.random(2 * N) < 0.8)[:N],
            1.6e12 + 6e4 * np.flatnonzero(RNG.random(2 * N) < 0.8)[:N],
            1.6e15 + 6e7 * np.flatnonzero(RNG.random(2 * N) < 0.8)[:N],
            1.6e18 + 6e10 * np.arange(N),
            45_000 + np.arange(N) / 24,
            0.1 * np.arange(N) + RNG.normal(0, 0.001, N),
        ],
        ids=[
            "counter",
            "share",
            "epoch",
            "epoch with gaps",
            "milliseconds with gaps",
            "microseconds with gaps",
            "nanoseconds",
            "spreadsheet days",
            "jitter",
        ],
    )
    def test_stamps_are_warned_of(self, times):
        (message,) = warned(np.column_stack([SENSORS, times]))
        assert "column 3 that rises by the same step" in message
        assert "'clock' that rises" in warned(framed(clock=times))[0]

    @pytest.mark.parametrize(
        "values",
        [
            np.cumsum(RNG.exponential(size=N)),
            1e9 + np.cumsum(RNG.integers(0, 1000, size=N)),
            np.arange(N) + RNG.normal(size=N),
            np.repeat(np.arange(N // 4), 4),
            np.arange(N) % 24,
            -np.arange(N),
        ],
        ids=["a meter", "a count of bytes", "a trend with noise", "stairs", "the hour", "a countdown"],
    )
    def test_are_not_seen_in(self, values):
        assert warned(np.column_stack([SENSORS, values])) == []

    def test_a_ramp_alone_is_a_series(self):
        assert warned(np.arange(N)) == []


class TestTooShort:
    @pytest.mark.parametrize("n", [1, SHORTEST - 1])
    def test_is_warned_of(self, n):
        (message,) = warned(SENSORS[:n])
        assert f"has {n} row(s), too short to judge" in message

    def test_long_enough(self):
        assert warned(SENSORS[:SHORTEST]) == []
        assert warned(SENSORS[:3], has_more=[True]) == []


class TestWarning:
    def test_comes_from_the_pipeline_at_the_line_of_its_caller(self, pipeline):
        with pytest.warns(InputWarning, match="looks like labels") as caught:
            pipeline.score(np.column_stack([SENSORS, RARE]))
        assert [one.filename for one in caught] == [__file__]

    def test_explain_warns_too(self, pipeline):
        with pytest.warns(InputWarning, match="too short"):
            pipeline.explain(SENSORS[:9])

    def test_of_many_series_is_one(self, pipeline):
        series = [SENSORS[:, 0], *SENSORS[:45].reshape(5, 9, 3), SENSORS[:, 1]]
        with pytest.warns(InputWarning) as caught:
            pipeline.score(series)
        (message,) = [str(one.message) for one in caught]
        assert message.startswith("series[1] (and 4 more series) has 9 row(s)")

    def test_is_shown_once_by_default(self, pipeline):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for _ in range(3):
                pipeline.score(SENSORS[:9])
        assert len(caught) == 1

    def test_as_an_error_comes_before_the_work(self, pipeline):
        seen = []
        with pytest.raises(InputWarning):  # pytest makes errors of warnings here
            pipeline.score(np.column_stack([SENSORS, RARE]), progress=lambda done, total: seen.append(done))
        assert seen == []

    def test_changes_no_score(self, pipeline):
        values = np.column_stack([SENSORS, RARE])
        quiet = pipeline.score(Series.from_columns(values, checked=True))
        with pytest.warns(InputWarning):
            np.testing.assert_array_equal(pipeline.score(values), quiet)

    def test_a_reference_helps_a_short_series(self, pipeline):
        pipeline.score(SENSORS[:9], reference=SENSORS[9:])

    def test_ordinary_series_are_scored_without(self, pipeline):
        pipeline.score([SENSORS, np.column_stack([SENSORS, SWITCH]), np.sin(np.arange(90) / 4)])


class TestRefuse:
    @pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
    @pytest.mark.parametrize(
        ("name", "column", "looks"),
        [
            ("Label", RARE, "labels"),
            ("timestamp", SENSORS[:, 2], "time stamps"),
            ("n", np.arange(5, N + 5), "a row counter"),
        ],
    )
    def test_a_column_that_is_no_measurement(self, frame, name, column, looks):
        with pytest.raises(InputError, match=f"its column '{name}' looks like {looks}"):
            refuse_doubtful(frame({"flow": SENSORS[:, 0], name: column}))

    @pytest.mark.parametrize(
        "series",
        [framed(), framed(pump=RARE), SENSORS, [1.0, 2.0], pd.DataFrame({"label": RARE}), pd.Series(RARE)],
        ids=["frame", "switch", "array", "list", "one column", "series"],
    )
    def test_what_may_be_measurements_passes(self, series):
        refuse_doubtful(series)
