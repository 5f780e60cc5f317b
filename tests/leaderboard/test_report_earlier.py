"""What has changed since an earlier run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.leaderboard._pages import Page, report
from vetime_plugins.cli import main
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.export import write_cells
from vetime_plugins.leaderboard.report import write_site
from vetime_plugins.leaderboard.report.earlier import find_changes
from vetime_plugins.leaderboard.report.groups import analyse_cells
from vetime_plugins.leaderboard.results import Cell, write_cell

pytest.importorskip("jinja2", reason="the report needs the extra report")
pytest.importorskip("matplotlib", reason="the report needs the extra report")

CAPTION = "VUS-PR now and in the earlier run"


def cell(detector, number, value, **fields):
    about = {"task": "t", "dataset": f"D{number % 2}", "status": "OK", "error": None, "n_points": 4}
    return Cell(
        detector=detector,
        series=f"s{number}",
        metrics={"VUS-PR": value},
        **{"score_seconds": 2.0, **about, **fields},
    )


def run(values, **fields):
    """Return cells: for every detector its values on the series 0, 1, ..., without those that are None."""
    return [
        cell(name, number, value, **fields)
        for name, row in values.items()
        for number, value in enumerate(row)
        if value is not None
    ]


NOW = run({"a": [0.5, 0.6, 0.7, 0.8, 0.9, 0.9], "b": [0.3] * 6, "new": [0.1] * 6}, date="2025-02-02")
EARLIER = run(
    {"a": [0.4, 0.6, 0.8, 0.6, 0.7, None], "b": [0.3] * 6, "gone": [0.2] * 6},
    date="2025-01-01",
    score_seconds=3.0,
)


def texts(table):
    return [[entry.text for entry in row] for row in table.rows]


def test_a_detector_is_compared_on_the_series_of_both_runs():
    found = find_changes(analyse_cells(NOW), EARLIER)
    # D0: 50, 70, 90 now and 40, 80, 70 earlier; D1: 60, 80 and 60, 60
    assert [entry.text for entry in found.table.rows[0]][:4] == ["a", "70.0", "61.7", "+8.3"]
    assert [entry.text for entry in found.table.rows[0]][5:] == ["3", "1", "5", "2", "3"]
    assert (found.same, found.added, found.gone) == (("b",), ("new",), ("gone",))
    assert texts(found.facts) == [["Run", "2025-02-02", "2025-01-01"]]


def test_a_failure_counts_as_zero_and_an_undefined_value_not_at_all():
    before = [
        one.replace(status="OOM", metrics={"VUS-PR": math.nan}, error="too much")
        if one.series == "s0"
        else one
        for one in EARLIER
        if one.detector == "a"
    ]
    now = [
        one.replace(metrics={"VUS-PR": math.nan}) if (one.detector, one.series) == ("a", "s1") else one
        for one in NOW
        if one.detector == "a"
    ]
    (row,) = texts(find_changes(analyse_cells(now), before).table)
    assert row[1:4] == ["75.0", "55.0", "+20.0"]  # D0: 70 and (0 + 80 + 70) / 3; D1: 80 and 60
    assert row[7] == "4"


@pytest.mark.parametrize(("n_series", "kind"), [(4, ""), (5, "good")])
def test_few_series_have_no_colour(n_series, kind):
    now = run({"a": [0.9] * n_series}, dataset="D")
    table = find_changes(analyse_cells(now), run({"a": [0.1] * n_series}, dataset="D")).table
    assert table.rows[0][3].kind == table.rows[0][4].kind == kind


def test_nothing_has_changed():
    found = find_changes(analyse_cells(NOW), NOW)
    assert found.table is found.facts is None
    assert found.same == ("a", "b", "new")


def test_nothing_in_common_and_another_metric_are_errors(tmp_path):
    write_cells(tmp_path / "now.csv", NOW)
    write_cells(tmp_path / "other.csv", run({"z": [0.5]}))
    out = tmp_path / "x.html"
    with pytest.raises(
        InputError, match=r"other\.csv: no detector was run on a series of both runs.*has z on 1"
    ):
        report(tmp_path / "now.csv", compare=tmp_path / "other.csv")
    write_cells(tmp_path / "pate.csv", [one.replace(metrics={"PATE": 0.5}) for one in NOW])
    with pytest.raises(InputError, match=r"pate\.csv: no result holds the metric VUS-PR"):
        report(tmp_path / "now.csv", compare=tmp_path / "pate.csv")
    assert not out.exists()


def test_the_page_and_the_command(tmp_path):
    for one in NOW:
        write_cell(tmp_path / "r", one, np.arange(4.0))
    write_cells(tmp_path / "before.csv", EARLIER)
    out = tmp_path / "page.html"
    words = ["leaderboard", "report", str(tmp_path / "r"), "--out", str(out)]
    assert main([*words, "--compare", str(tmp_path / "before.csv")]) == 0
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert page.column(CAPTION, "detector") == ["a"]
    assert page.column(CAPTION, "change") == ["+8.3"]
    assert "The same VUS-PR on every series as in the earlier run: b." in text
    assert "Not in the earlier run: new." in text
    assert "Only in the earlier run: gone." in text
    assert main([*words, "--compare", str(tmp_path / "before.csv"), "--detectors", "a,new"]) == 0
    text = out.read_text(encoding="utf-8")
    assert "Not in the earlier run: new." in text
    assert "Only in the earlier run" not in text  # what is left out of the report is left out of both
    assert main(words) == 0
    assert "earlier run" not in out.read_text(encoding="utf-8")


def test_a_site_finds_the_run_of_the_same_task(tmp_path):
    write_cells(tmp_path / "now.csv", NOW)
    write_cells(tmp_path / "else.csv", [one.replace(task="else") for one in NOW])
    write_cells(tmp_path / "before.csv", EARLIER)
    runs = [tmp_path / "now.csv", tmp_path / "else.csv"]
    write_site(runs, tmp_path / "site", compare=[tmp_path / "before.csv"])
    assert Page((tmp_path / "site" / "now.html").read_text()).column(CAPTION, "detector") == ["a"]
    assert CAPTION not in (tmp_path / "site" / "else.html").read_text()
    with pytest.raises(InputError, match="is of t, and 0 runs without an earlier one are"):
        write_site(runs[1:], tmp_path / "site", compare=[tmp_path / "before.csv"])
    with pytest.raises(InputError, match="is of t, and 0 runs without an earlier one are"):
        write_site(runs, tmp_path / "site", compare=[tmp_path / "before.csv", tmp_path / "now.csv"])
