"""All cells in one CSV file, and back."""

from __future__ import annotations

import csv
import dataclasses
import json
import math

import pytest
from pydantic_core import to_json

from tests.leaderboard.test_results import cell
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.export import load_cells, read_cells, write_cells
from vetime_plugins.leaderboard.report import build_board
from vetime_plugins.leaderboard.runner import retake_metrics

NOT_KEPT = {"undefined": {}, "fingerprint": ""}
FAILED = {
    "series": "f",
    "status": "ERROR",
    "error": 'Traceback (most recent call last):\n  ...\nValueError: a, "b" and\nthe rest',
    "metrics": {"VUS-PR": math.nan, "PATE": math.nan},
    "fit_seconds": math.nan,
    "saw_train": False,
    "parameters": {},
    "peak_gpu_bytes": 2**33,
}


def test_what_is_written_comes_back_to_six_digits(tmp_path):
    third = {"VUS-PR": 1 / 3, "PATE": math.nan}
    path = write_cells(tmp_path / "some" / "cells.csv", [cell(metrics=third), cell(**FAILED)])
    for found in (read_cells(path), load_cells(path)):
        assert [one.series for one in found] == ["f", "s"]
        expected = [cell(**{**FAILED, "error": "the rest"}, **NOT_KEPT), cell(**NOT_KEPT)]
        for one, other in zip(found, expected, strict=True):
            a, b = dataclasses.asdict(one), dataclasses.asdict(other)
            assert a.pop("metrics").keys() == b.pop("metrics").keys()
            assert json.loads(to_json(a)) == json.loads(to_json(b))
        assert math.isnan(found[0].metrics["VUS-PR"])
        assert found[1].metrics["VUS-PR"] == 0.333333
        assert math.isnan(found[1].metrics["PATE"])


def test_no_spreadsheet_runs_a_name(tmp_path):
    evil = '=HYPERLINK("http://x","y")'
    names = [evil, "+1+1", "@SUM(A1)", "-x", "'=quoted", "\tx", "-1"]
    cells = [cell(series=name, detector=evil) for name in names]
    path = write_cells(tmp_path / "cells.csv", cells)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["detector"] for row in rows} == {"'" + evil}
    assert {row["series"] for row in rows} == {"-1", *("'" + name for name in names[:-1])}
    assert {one.series for one in read_cells(path)} == set(names)


def test_anything_can_read_it(tmp_path):
    path = write_cells(tmp_path / "cells.csv", [cell()])
    (row,) = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    assert (row["detector"], row["VUS-PR"], row["PATE"]) == ("d", "0.3", "")
    assert row["parameters"] == '{"k": 3, "window": null}'


def test_a_metric_that_only_some_cells_have_is_not_undefined_for_the_others(tmp_path):
    newer = cell(detector="e", metrics={"VUS-PR": 0.5, "PATE": math.nan, "Exact-Peak": 1.0})
    path = write_cells(tmp_path / "cells.csv", [cell(), newer])
    assert path.read_text(encoding="utf-8").splitlines()[1].endswith(",0.3,,-")
    old, new = read_cells(path)
    assert set(old.metrics) == {"VUS-PR", "PATE"}
    assert new.metrics["Exact-Peak"] == 1.0
    board = build_board([old, new])
    assert (board.metrics, board.unmeasured) == (("VUS-PR", "PATE"), ("Exact-Peak",))


def test_nothing_to_write_is_refused(tmp_path):
    with pytest.raises(InputError, match="there are no cells to write"):
        write_cells(tmp_path / "cells.csv", [])
    assert not list(tmp_path.iterdir())


def test_a_file_of_before_the_kinds_of_anomaly_is_read(tmp_path):
    path = write_cells(tmp_path / "cells.csv", [cell(kind="mean", n_anomalies=5)])
    (new,) = read_cells(path)
    assert (new.kind, new.n_anomalies) == ("mean", 5)
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    later = {rows[0].index("kind"), rows[0].index("n_anomalies")}
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([[one for i, one in enumerate(row) if i not in later] for row in rows])
    (old,) = read_cells(path)
    assert (old.kind, old.n_anomalies, old.metrics["VUS-PR"]) == ("", None, 0.3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("detector", "method", "lacks detector"),
        (",OK,", ",FINE,", "line 2: not a cell of results: status must be one of .*, got 'FINE'"),
        (",True,", ",maybe,", "line 2: not a cell of results: saw_train: .*, got 'maybe'"),
        (",0.25,", ",soon,", "line 2: not a cell of results: fit_seconds: .*, got 'soon'"),
        ('"{""numpy"": ""1.26.4""}"', "[]", "line 2: not a cell of results: versions must be a table, got"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, old, new, message):
    path = write_cells(tmp_path / "cells.csv", [cell()])
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_cells(path)


def test_a_file_that_is_missing_or_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_cells(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read"):
        read_cells(tmp_path / "binary.csv")


def test_metrics_cannot_be_taken_again_from_it(tmp_path):
    path = write_cells(tmp_path / "cells.csv", [cell()])
    with pytest.raises(InputError, match="holds no scores to take metrics of; name a folder of results"):
        retake_metrics(path)
