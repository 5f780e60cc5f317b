"""The report of an incomplete run: what a detector did not do never makes it look better."""

import math

import numpy as np
import pytest

from tests.leaderboard._pages import report, squeeze, write_results
from vetime_plugins.cli import main
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.results import Cell, write_cell

pytest.importorskip("jinja2", reason="the report needs the extra report")
pytest.importorskip("matplotlib", reason="the report needs the extra report")


@pytest.fixture
def mixed(tmp_path):
    """Return two detectors on three univariate series, of which one is on four multivariate ones too."""
    folder = tmp_path / "r"
    for s in range(7):
        many = s >= 3
        for name, value in (("both", 0.4), ("one", 0.7)):
            if many and name == "one":
                continue
            fields = {"n_points": 10, "n_variables": 4 if many else 1}
            write_cell(
                folder,
                Cell("t", name, f"s{s}", f"D{s % 2}", "OK", None, {"VUS-PR": value}, **fields),
                np.arange(10.0),
            )
    return folder


def test_kinds_are_compared_by_the_detectors_that_were_run_on_all_of_them(mixed):
    _, text, page = report(mixed, markdown=mixed.parent / "t.md")
    assert "Missing 4 of 7 series: one." in text
    table = page.table("VUS-PR of univariate and multivariate series")
    assert table["head"][1:5] == ["univariate VUS-PR", "rank", "run", "failed"]
    assert table["rows"] == [
        ["one", "70.0", "1.00", "3", "0", "-", "-", "0", "0"],
        ["both", "40.0", "2.00", "3", "0", "40.0", "1.00", "4", "0"],
    ]
    assert "ranks are among 2 (univariate) and 1 (multivariate) detectors" in text
    markdown = squeeze((mixed.parent / "t.md").read_text(encoding="utf-8"))
    assert "| one | 70.0 | 1.00 | 3 | 0 | - | - | 0 | 0 |" in markdown
    assert "Left out: 4 series" in markdown


def test_a_report_of_one_kind(mixed):
    analysis, text, _ = report(mixed, only="multivariate")
    assert analysis.board.detectors == ("both",)
    assert "Not every detector" not in text
    with pytest.raises(InputError, match="are of multivariate series"):
        report(write_results(mixed.parent / "q", ["a"], 1), only="multivariate")


def test_what_was_not_run_on_either_kind_is_asked_for(mixed):
    write_cell(
        mixed,
        Cell("t", "other", "s6", "D0", "OK", None, {"VUS-PR": 0.5}, n_points=3, n_variables=4),
        np.arange(3.0),
    )
    with pytest.raises(InputError, match=r"other has the fewest: 1 of 7.*--only univariate"):
        report(mixed)


def test_one_series_a_data_set_has_no_interval(tmp_path):
    _, text, page = report(
        write_results(tmp_path / "r", ["a", "b"], 3), markdown=tmp_path / "t.md", against="a"
    )
    assert page.column("Detectors by VUS-PR", "95 % interval") == ["", "-"]
    assert "no data set has two series" in text
    assert 'class="number bad"' not in text
    assert " [" not in (tmp_path / "t.md").read_text(encoding="utf-8")


def test_failures_that_differ_in_numbers_alone_are_one(tmp_path):
    folder = tmp_path / "r"
    for s in range(12):
        error = f"Traceback\nValueError: window 40 is larger than the series {s + 9}"
        write_cell(folder, Cell("t", "a", f"s{s}", "D", "ERROR", error, {"VUS-PR": math.nan}))
    (row,) = report(folder)[2].table("Failures")["rows"]
    assert row[2].startswith("12 ")


def test_undefined_for_one_detector_alone_is_not_shown_as_a_value(tmp_path):
    folder = tmp_path / "r"
    for name, value in (("a", 0.5), ("b", math.nan)):
        cell = Cell("t", name, "s", "D", "OK", None, {"VUS-PR": value}, n_points=3)
        write_cell(folder, cell, np.arange(3.0))
    _, _, page = report(folder)
    assert page.table("VUS-PR on every series")["rows"] == [["s", "D", "50.0", "undefined"]]


def test_a_traceback_that_is_no_text_is_shown(tmp_path):
    error = "OSError: no file \udc80"  # what Python makes of a file name in another encoding
    write_cell(tmp_path / "r", Cell("t", "a", "s", "D", "ERROR", error, {"VUS-PR": math.nan}))
    assert "no file \\udc80" in report(tmp_path / "r")[1]


def test_a_seed_for_every_cell_is_counted_and_not_listed(tmp_path):
    for s in range(30):
        cell = Cell("t", "a", f"s{s}", "D", "OK", None, {"VUS-PR": 0.5}, n_points=3, seed=1000 + s)
        write_cell(tmp_path / "r", cell, np.arange(3.0))
    rows = report(tmp_path / "r")[2].table("Where the results come from")["rows"]
    assert ["seed", "run", "30 different ones", "all"] in rows


def test_times_are_of_the_series_that_are_compared(mixed):
    board = report(mixed)[0].board
    assert math.isnan(board.seconds("both"))
    slow = Cell("t", "both", "s5", "D1", "OK", None, {"VUS-PR": 0.4}, n_points=10, n_variables=4)
    write_cell(mixed, slow.replace(score_seconds=9.0), np.arange(10.0))
    assert math.isnan(report(mixed)[0].board.seconds("both"))


def test_a_report_of_some_detectors(tmp_path):
    folder = write_results(tmp_path / "r", ["a(n=[1, 2])", "a-1", "b"], 3)
    assert report(folder, detectors=["b", "a-*"])[0].board.detectors == ("a-1", "b")
    assert report(folder, detectors=["a(n=[1, 2])"])[0].board.detectors == ("a(n=[1, 2])",)
    with pytest.raises(InputError, match=r"no detector fits c\*; the results are of a\(n=\[1, 2\]\), a-1, b"):
        report(folder, detectors=["b", "c*"])
    out = tmp_path / "some.html"
    assert (
        main(["leaderboard", "report", str(folder), "--out", str(out), "--detectors", "b,a(n=[1, 2])"]) == 0
    )
    text = out.read_text(encoding="utf-8")
    assert "a(n=[1, 2])" in text
    assert "a-1" not in text
