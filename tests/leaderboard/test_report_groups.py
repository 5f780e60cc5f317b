"""One row for a model under several names: which stands for them, and that the row hides nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.leaderboard._pages import report
from vetime_plugins.leaderboard.report.groups import analyse_cells, find_model, group_detectors
from vetime_plugins.leaderboard.results import Cell, write_cell

FRAMEWORK = {"m": "own", "m-pyod": "pyod", "m-darts-train": "darts", "pyod-knn": "pyod"}


def cells(values, n_series=6):
    """Return cells of detectors by name, each with one value, or none where it failed."""
    return [
        Cell(
            task="t",
            detector=name,
            series=f"s{number}",
            dataset=f"D{number % 2}",
            status="OK" if value is not None else "ERROR",
            error=None if value is not None else "ValueError: no",
            metrics={"VUS-PR": math.nan if value is None else value + number / 100},
            framework=FRAMEWORK.get(name.partition("(")[0], ""),
            n_points=4,
            score_seconds=1.0,
        )
        for name, value in values.items()
        for number in range(n_series)
    ]


@pytest.mark.parametrize(
    ("name", "framework", "model"),
    [
        ("m-pyod", "pyod", "m"),
        ("m-pyod-train", "pyod", "m"),
        ("m-pyod(k=[1, 2])", "pyod", "m(k=[1, 2])"),
        ("m-pyod", "darts", "m-pyod"),
        ("pyod-knn", "pyod", "pyod-knn"),
        ("pyod-knn-train", "pyod", "pyod-knn-train"),
        ("-pyod", "pyod", "-pyod"),
        ("m", "", "m"),
    ],
)
def test_the_model_is_what_stands_before_the_framework(name, framework, model):
    assert find_model(name, framework) == model


def test_what_stands_for_a_model_does_not_depend_on_how_good_it_is():
    kept, others = group_detectors(cells({"m-pyod": 0.9, "m": 0.1, "m-darts-train": 0.5, "pyod-knn": 0.3}))
    assert others == {"m": ["m-darts-train", "m-pyod"]}
    assert {cell.detector for cell in kept} == {"m", "pyod-knn"}


def test_the_one_that_was_run_on_the_most_series_stands_for_it():
    found = [one for one in cells({"m": 0.1, "m-pyod": 0.9}) if one.detector != "m" or one.series != "s0"]
    assert group_detectors(found)[1] == {"m-pyod": ["m"]}


def test_other_parameters_are_another_model():
    assert group_detectors(cells({"m": 0.1, "m-pyod(k=2)": 0.2}))[1] == {}


def test_members_are_in_no_rank_and_no_comparison():
    analysis = analyse_cells(cells({"m": 0.5, "m-pyod": 0.6, "pyod-knn": 0.3}), against="m-pyod")
    assert analysis.reference == "m"
    assert analysis.board.detectors == ("m", "pyod-knn")
    assert analysis.comparison.ranks.tolist() == [1.0, 2.0]
    assert analysis.every.detectors == ("m", "pyod-knn", "m-pyod")
    apart = analyse_cells(cells({"m": 0.5, "m-pyod": 0.6, "pyod-knn": 0.3}), group=False)
    assert apart.board.detectors == ("m-pyod", "m", "pyod-knn")


def test_a_row_hides_no_failure_and_no_other_series(tmp_path):
    pytest.importorskip("jinja2", reason="the report needs the extra report")
    pytest.importorskip("matplotlib", reason="the report needs the extra report")
    found = cells({"m": 0.5, "m-pyod": None, "m-darts-train": 0.4, "pyod-knn": 0.3})
    found = [one for one in found if one.detector != "m-darts-train" or one.series == "s1"]
    for one in found:
        write_cell(tmp_path / "r", one, None if one.failed else np.arange(4.0))
    analysis, text, page = report(tmp_path / "r")
    rows = {row[0]: row for row in page.table("Detectors by VUS-PR")["rows"]}
    assert list(rows) == ["m", "m-darts-train", "m-pyod", "pyod-knn"]
    assert analysis.board.left_out == ()  # what lacks series is not compared, and leaves none out for others
    head = page.table("Detectors by VUS-PR")["head"]
    shown = {
        name: [row[head.index(one)] for one in ("VUS-PR", "rank", "run", "failed")]
        for name, row in rows.items()
    }
    assert shown["m-pyod"] == ["0.0", "", "6", "6"]
    assert shown["m-darts-train"] == ["-", "", "1", "0"]
    assert page.table("Failures")["rows"][0][0] == "m-pyod"
    assert "the rows below it are the others, 2 in all" in text
    assert text.count("<tbody>\n<tr") == len(page.tables) + 1  # the standings have a body a model
