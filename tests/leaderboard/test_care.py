"""Wind farms in the layout of CARE to Compare: labels, train part and readings, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.tasks import Task

HEADER = "time_stamp;asset_id;id;train_test;status_type_id;wind_speed_3_avg;sensor_5_avg"
EVENTS = "asset;event_id;event_label;event_start;event_start_id;event_end;event_end_id;event_description"


def table(n=60, train=40):
    rows = [HEADER]
    for i in range(n):
        part = "train" if i < train else "prediction"
        rows.append(f"2022-01-01 {i // 6:02}:{i % 6}0:00;3;{100 + i};{part};0;{5 + i % 7}.5;{i / 10}")
    return rows


@pytest.fixture
def farm(tmp_path):
    """A farm of one fault and one quiet time."""
    folder = tmp_path / "data" / "Wind Farm A"
    (folder / "datasets").mkdir(parents=True)
    events = [EVENTS, "3;68;anomaly;;150;;155;Gearbox", "3;3;normal;;120;;159;"]
    (folder / "event_info.csv").write_text("\n".join(events) + "\n")
    for event in ("68", "3"):
        (folder / "datasets" / f"{event}.csv").write_text("\n".join(table()) + "\n")
    return folder


def task(farm):
    return Task.read("care").narrowed(folder=farm.parents[0])


def test_series(farm):
    found = {entry.name: task(farm).load(entry) for entry in task(farm).find()}
    assert sorted(found) == ["3", "68"]
    fault, quiet = found["68"], found["3"]
    assert fault.dataset == "Wind Farm A"
    assert fault.values.shape == (60, 2)
    np.testing.assert_array_equal(fault.values[3], [8.5, 0.3])
    assert fault.train_length == 40
    np.testing.assert_array_equal(np.flatnonzero(fault.labels), np.arange(50, 56))
    assert not quiet.labels.any()


def test_an_empty_cell_is_a_gap(farm):
    rows = table()
    rows[1] = rows[1].rsplit(";", 1)[0] + ";"
    (farm / "datasets" / "68.csv").write_text("\n".join(rows) + "\n")
    (entry,) = task(farm).narrowed(series=["68"]).find()
    assert np.isnan(entry.load().values[0, 1])


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("event_info.csv", ("event_start_id", "begin"), "must have the columns .*lacks event_start_id"),
        ("event_info.csv", ("normal", "quiet"), "event_label must be .*got 'quiet'"),
        ("event_info.csv", ("3;3;", "3;4;"), "names the event 4, and there is no file"),
        ("event_info.csv", ("3;3;", "3;../../x;"), "no file"),
        ("event_info.csv", (";150;", ";soon;"), "an id must be a number, got 'soon'"),
        ("event_info.csv", (";150;;155;", ";500;;600;"), "no row of its event"),
        ("datasets/68.csv", (";id;", ";place;"), "lacks id"),
        ("datasets/68.csv", ("prediction", "test"), 'train_test must be "train" and then "prediction"'),
        ("datasets/68.csv", ("5.5", "fast"), "must hold numbers as readings"),
    ],
)
def test_what_is_wrong_is_said(farm, file, change, message):
    text = (farm / file).read_text()
    assert change[0] in text
    (farm / file).write_text(text.replace(*change))
    with pytest.raises(InputError, match=message):
        [entry.load() for entry in task(farm).find()]


def test_no_farm(tmp_path):
    with pytest.raises(InputError, match=r"no event_info\.csv in"):
        Task.read("care").narrowed(folder=tmp_path).find()
