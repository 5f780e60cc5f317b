"""The tables by kind of anomaly and by how often it comes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.leaderboard._pages import report, squeeze
from vetime_plugins.leaderboard.report.board import build_board
from vetime_plugins.leaderboard.report.breakdown import by_anomaly, by_recurrence, only_kinds
from vetime_plugins.leaderboard.results import Cell, write_cell

pytest.importorskip("tabulate", reason="tables in Markdown need the extra report")

SERIES = [("mean", 1, 0.2), ("mean", 5, 0.4), ("mean", 5, 0.6), ("trend", 1, 0.8), ("trend", 5, 1.0)]


def cells(**changes):
    """Return the cells of two detectors, of which the second has half the values of the first."""
    return [
        Cell(
            task="t",
            detector=name,
            series=f"{kind}-{i}",
            dataset=kind,
            status="OK",
            error=None,
            metrics={"VUS-PR": share * value, "AUC-PR": share * value / 2, "PATE": 0.5},
            n_points=4,
            kind=kind,
            n_anomalies=count,
        ).replace(**changes)
        for name, share in (("a", 1.0), ("b", 0.5))
        for i, (kind, count, value) in enumerate(SERIES)
    ]


def texts(table):
    return [[entry.text for entry in row] for row in (*table.rows, *table.footer)]


def test_a_mean_over_kinds_is_that_of_their_means():
    board = build_board(cells())
    vus, auc = by_anomaly(board)  # Exact-Peak was not measured, and PATE is not broken down
    assert [vus.caption, auc.caption] == ["VUS-PR by kind of anomaly", "AUC-PR by kind of anomaly"]
    assert [column.text for column in vus.columns] == ["detector", "all kinds", "mean", "trend"]
    assert texts(vus) == [
        ["a", "65.0", "40.0", "90.0"],
        ["b", "32.5", "20.0", "45.0"],
        ["series", "5", "3", "2"],
    ]
    assert texts(auc)[0] == ["a", "32.5", "20.0", "45.0"]
    assert [entry.kind for entry in vus.rows[0]] == ["", "best", "best", "best"]


def test_series_with_one_anomaly_and_with_several_are_apart():
    table = by_recurrence(build_board(cells()))
    assert [column.text for column in table.columns][1:3] == ["VUS-PR, once", "VUS-PR, 5 times"]
    assert texts(table)[0][:3] == ["a", "50.0", "75.0"]  # (20 + 80) / 2; (50 + 100) / 2
    assert texts(table)[-1][:3] == ["series", "2", "3"]


def test_numbers_that_differ_are_a_group():
    mixed = [
        cell.replace(n_anomalies=2 + int(cell.series[-1])) if cell.n_anomalies == 5 else cell
        for cell in cells()
    ]
    table = by_recurrence(build_board(mixed))  # 3, 4 and 6
    assert [column.text for column in table.columns][1:4] == [
        "VUS-PR, once",
        "VUS-PR, a few times",
        "VUS-PR, 6 times",
    ]


def test_what_was_not_recorded_has_no_table():
    assert by_anomaly(build_board(cells(kind=""))) == []
    assert by_recurrence(build_board(cells(n_anomalies=None))) is None
    assert by_recurrence(build_board(cells(n_anomalies=3))) is None


def test_a_kind_that_is_undefined_is_in_no_mean():
    void = [
        cell.replace(metrics=dict.fromkeys(cell.metrics, math.nan)) if cell.kind == "trend" else cell
        for cell in cells()
    ]
    assert texts(by_anomaly(build_board(void))[0]) == [
        ["a", "40.0", "40.0", "-"],
        ["b", "20.0", "20.0", "-"],
        ["series", "3", "3", "0"],
    ]


def test_the_report_shows_them_and_says_nothing_twice(tmp_path):
    pytest.importorskip("jinja2", reason="the report needs the extra report")
    pytest.importorskip("matplotlib", reason="the report needs the extra report")
    for cell in cells():
        write_cell(tmp_path / "r", cell, np.arange(4.0))
    _, text, page = report(tmp_path / "r", markdown=tmp_path / "t.md")
    assert 'href="#anomalies"' in text
    assert page.table("VUS-PR by kind of anomaly")["rows"][0] == ["a", "65.0", "40.0", "90.0"]
    assert page.table("By recurrence of the anomaly")["rows"][0][:3] == ["a", "50.0", "75.0"]
    markdown = squeeze((tmp_path / "t.md").read_text(encoding="utf-8"))
    assert "| a | 65.0 | 40.0 | 90.0 |" in markdown
    assert "VUS-PR by data set" not in markdown  # it would be the table by kind again
    assert only_kinds(build_board(cells()))
    assert not only_kinds(build_board(cells(dataset="D")))
