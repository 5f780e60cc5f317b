"""Folders of results: what is written comes back, whole or not at all."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from pydantic_core import to_json

from vetime_plugins import _files
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.results import (
    Cell,
    StoredSeries,
    cell_path,
    load_scores,
    load_series,
    read_cell,
    read_cells,
    write_cell,
    write_series,
)


def cell(**changes) -> Cell:
    given = {
        "task": "t",
        "detector": "d",
        "series": "s",
        "dataset": "A",
        "status": "OK",
        "error": None,
        "metrics": {"VUS-PR": 0.1 + 0.2, "PATE": math.nan},
        "undefined": {"PATE": "no anomaly"},
        "parameters": {"window": None, "k": 3},
        "fit_seconds": 0.25,
        "score_seconds": 1.5,
        "saw_train": True,
        "n_points": 5,
        "n_variables": 2,
        "train_length": 2,
        "buffer": 7,
        "versions": {"numpy": "1.26.4"},
        "hardware": {"cores": 2},
        "fingerprint": "abc",
    }
    return Cell(**{**given, **changes})


def same(a: Cell, b: Cell) -> bool:
    return json.loads(to_json(asdict(a))) == json.loads(to_json(asdict(b)))


def test_what_is_written_comes_back(tmp_path):
    scores = np.array([0.1, 1 / 3, 1e-300])
    path = write_cell(tmp_path, cell(), scores)
    assert path == tmp_path / "d" / "s.json"
    (found,) = read_cells(tmp_path)
    assert same(found, cell())
    assert math.isnan(found.metrics["PATE"])
    np.testing.assert_array_equal(load_scores(tmp_path, found), scores)
    assert json.loads(path.read_text())["schema"] == 1
    assert json.loads(path.read_text())["metrics"]["PATE"] is None


def test_cells_are_sorted_and_other_folders_are_left_alone(tmp_path):
    for detector, dataset, series in [("b", "A", "1"), ("a", "B", "1"), ("a", "A", "2")]:
        write_cell(tmp_path, cell(detector=detector, dataset=dataset, series=series), np.zeros(3))
    write_series(tmp_path, "1", StoredSeries(np.zeros((5, 1)), np.zeros(5, np.int8), 2, 7))
    (tmp_path / "_other").mkdir()
    (tmp_path / "_other" / "x.json").write_text("{}")
    (tmp_path / "run.json").write_text("{}")
    assert [(c.detector, c.series) for c in read_cells(tmp_path)] == [("a", "2"), ("a", "1"), ("b", "1")]


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "_series", "a b (k=1, x='/')", "ä:*?", "%2E"])
def test_any_name_is_a_file_of_its_own_inside_the_folder(tmp_path, name):
    path = write_cell(tmp_path, cell(detector=name, series=name), np.zeros(3))
    assert path.resolve().parent.parent == tmp_path.resolve()
    assert [(c.detector, c.series) for c in read_cells(tmp_path)] == [(name, name)]


def test_distinct_names_do_not_share_a_file(tmp_path):
    names = ["a/b", "a%2Fb", "a_b", "_x", "%5Fx", ".x", "%2Ex"]
    assert len({cell_path(tmp_path, name, "s") for name in names}) == len(names)


def test_a_series_is_kept(tmp_path):
    values = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]])
    write_series(tmp_path, "a/b", StoredSeries(values, np.array([0, 0, 1], np.int8), 1, 9))
    found = load_series(tmp_path, "a/b")
    np.testing.assert_array_equal(found.values, values)
    assert (found.train_length, found.buffer, found.test_labels.tolist()) == (1, 9, [0, 1])


def test_new_metrics_leave_the_scores(tmp_path):
    write_cell(tmp_path, cell(), np.arange(3.0))
    write_cell(tmp_path, cell(metrics={"AUC-PR": 1.0}))
    (found,) = read_cells(tmp_path)
    assert found.metrics == {"AUC-PR": 1.0}
    assert load_scores(tmp_path, found).tolist() == [0, 1, 2]


def test_a_failure_takes_the_place_of_scores(tmp_path):
    write_cell(tmp_path, cell(), np.arange(3.0))
    write_cell(tmp_path, cell(status="TIMEOUT", error="more than 3 s", fit_seconds=math.nan))
    (found,) = read_cells(tmp_path)
    assert found.failed
    assert math.isnan(found.fit_seconds)
    assert not (tmp_path / "d" / "s.npz").exists()
    with pytest.raises(InputError, match="status is TIMEOUT"):
        load_scores(tmp_path, found)


@pytest.mark.parametrize("where", ["savez", "json"])
def test_being_cut_off_leaves_no_half_cell(tmp_path, monkeypatch, where):
    """Neither the new scores with the old metrics, nor a file that cannot be read."""
    write_cell(tmp_path, cell(), np.zeros(3))
    calls = []

    def cut(stream):
        calls.append(stream)
        if (where == "savez") == (len(calls) == 1):
            raise KeyboardInterrupt

    monkeypatch.setattr(_files.os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        write_cell(tmp_path, cell(), np.ones(3))
    assert read_cells(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a cell"),
        ("[]", "not a cell"),
        ("{}", "schema"),
        ('{"schema": 2}', "schema 2"),
        ('{"schema": 1, "metrics": {}}', "not a cell"),
        (
            '{"schema": 1, "metrics": {}, "fit_seconds": 1, "score_seconds": 1, "x": 1}',
            "results: unknown key x; known are task",
        ),
    ],
)
def test_what_is_no_cell_is_named(tmp_path, text, says):
    path = tmp_path / "d" / "s.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InputError, match=says) as error:
        read_cells(tmp_path)
    assert "s.json" in str(error.value)


def test_bad_arguments(tmp_path):
    with pytest.raises(InputError, match="no folder of results"):
        read_cells(tmp_path / "none")
    with pytest.raises(InputError, match=r"shape \(3,\), got \(5,\)"):
        write_cell(tmp_path, cell(), np.zeros(5))
    with pytest.raises(ValueError, match="status must be one of OK, ERROR, TIMEOUT, OOM, got 'FINE'"):
        cell(status="FINE")
    with pytest.raises(InputError, match="cannot read"):
        load_scores(tmp_path, cell())
    with pytest.raises(InputError, match="cannot read"):
        load_series(tmp_path, "none")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "s.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(InputError, match="cannot read"):
        load_scores(tmp_path, cell())
    with pytest.raises(InputError, match="not a cell"):
        read_cell(tmp_path / "none.json")
