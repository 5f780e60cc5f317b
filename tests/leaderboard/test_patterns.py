"""Series of scenarios and patterns: each is what its names say, every time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard import run_task
from vetime_plugins.leaderboard.tasks import Task


def load(task, **narrowed):
    task = Task.read(task).narrowed(**narrowed)
    return [task.load(entry) for entry in task.find()]


@pytest.mark.parametrize(("name", "n_series", "n_sets"), [("scenarios", 66, 9), ("patterns", 63, 8)])
def test_every_series_has_one_anomaly_of_its_kind_behind_a_clean_train_part(name, n_series, n_sets):
    found = load(name)
    assert len(found) == n_series
    assert len({series.dataset for series in found}) == n_sets
    for series in found:
        assert series.kind == series.name.split(".")[0]
        assert series.train_length >= 250
        assert not series.labels[: series.train_length].any()
        assert 0 < series.labels.mean() <= 0.15
        assert not np.isinf(series.values).any()


def test_samplings_differ_in_what_is_lost_only():
    def of(sampling):
        (series,) = load("scenarios", series=[f"level_shift.{sampling}.0"])
        return series

    regular, missing, irregular = (of(sampling) for sampling in ("regular", "missing", "irregular"))
    lost = np.isnan(missing.values[:, 0])
    assert lost.mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(missing.values[~lost], regular.values[~lost])
    np.testing.assert_array_equal(missing.labels, regular.labels)
    assert len(irregular.values) == pytest.approx(0.75 * len(regular.values), rel=0.05)
    assert np.isfinite(irregular.values).all()
    assert irregular.train_length < regular.train_length


def test_the_anomaly_of_a_point_is_never_lost():
    for series in load("scenarios", datasets=["point-missing"]):
        assert np.isfinite(series.values[series.labels == 1]).all()


def test_one_of_several_variates_is_anomalous():
    for series in load("scenarios", datasets=["variate-regular"]):
        assert series.values.shape == (2000, 4)


@pytest.mark.parametrize(
    ("name", "series"), [("scenarios", "drift.irregular.1"), ("patterns", "spike.trend")]
)
def test_it_is_the_same_every_time(name, series):
    (first,), (second,) = (load(name, series=[series]) for _ in range(2))
    assert first.values.tobytes() == second.values.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()


def test_memory_and_noise_are_what_the_pattern_says():
    def steps(pattern):
        (series,) = load("patterns", series=[f"spike.{pattern}"])
        values = series.values[: series.train_length, 0]
        return np.diff(values).std() / values.std()

    assert steps("long-memory") < 0.5 < 0.8 < steps("short-memory")
    assert steps("season") < steps("season-noise-20") < steps("season-noise-50")


def test_a_run_has_gaps_and_several_variables(tmp_path):
    task = Task.read("scenarios").narrowed(datasets=["range-missing", "variate-irregular"])
    task = dataclasses.replace(task, metrics=("VUS-PR",))
    report = run_task(task, tmp_path, detectors=["sub-pca"])
    assert len(report.cells) == 16
    assert {cell.status for cell in report.cells} == {"OK"}


def test_an_unknown_set_is_refused(tmp_path):
    text = 'name = "x"\n[source]\nreader = "generated"\noptions = { set = "others" }\n'
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(InputError, match=r"source\.options\.set"):
        Task.read(tmp_path / "x.toml")
