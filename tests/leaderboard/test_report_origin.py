"""Where detectors come from and what they have seen, one model under several names, and few series."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest

from tests.leaderboard._pages import report, squeeze
from vetime_plugins.leaderboard.report.board import build_board
from vetime_plugins.leaderboard.report.groups import group_detectors
from vetime_plugins.leaderboard.report.origin import describe_run, find_framework, find_seen
from vetime_plugins.leaderboard.report.svg import FRAMEWORKS
from vetime_plugins.leaderboard.results import Cell, write_cell

pytest.importorskip("jinja2", reason="the report needs the extra report")
pytest.importorskip("matplotlib", reason="the report needs the extra report")


def cell(detector, value, number=0, **fields):
    about = {
        "task": "t",
        "dataset": "UCR",
        "series": f"s{number}",
        "status": "OK",
        "error": None,
        "n_points": 4,
    }
    return Cell(detector=detector, metrics={"VUS-PR": value, "AUC-PR": value}, **(about | fields))


def cells(n_series, **values):
    return [
        cell(name.replace("_", "-"), value + number / 100, number)
        for name, value in values.items()
        for number in range(n_series)
    ]


def write(folder, found):
    for one in found:
        write_cell(folder, one, np.arange(4.0))
    return folder


def test_what_a_detector_has_seen_is_told_by_the_cell_or_the_registry():
    assert find_seen([cell("mine", 0.5, trained_on=("UCR", "other"), tuned_on=("t",))]) == {
        "trained": ["UCR"],
        "tuned": ["t"],
    }
    assert find_seen([cell("mine", 0.5)]) == find_seen([cell("sub-knn", 0.5)]) == {}
    assert find_seen([cell("vetime", 0.5)]) == {"tuned": ["UCR"]}  # of a run before cells said it
    assert find_seen([cell("vetime", 0.5, tuned_on=())]) == {}
    own = 'vetime(weights="mine")'
    assert find_seen([cell(own, 0.5, parameters={"weights": "mine"})]) == {}


def test_frameworks():
    found = ["pyod-knn(n_neighbors=3)", "vetime", "vetime-darts", "mine"]
    assert [find_framework(cell(name, 0.5)) for name in found] == ["pyod", "vetime_plugins", "darts", ""]
    assert find_framework(cell("mine", 0.5, framework="template")) == "template"


def test_a_run_is_described():
    machine = {"cpu": "A", "cores": 2, "python": "3.11"}
    about = {"hardware": machine, "versions": {"vetime-plugins": "0.1.0", "numpy": "2"}}
    found = [cell("a", 0.5, n, date=f"2025-01-0{n + 1}", **about) for n in range(3)]
    assert describe_run(build_board(found)) == [
        ("Task", "t"),
        ("Run", "2025-01-01 to 2025-01-03"),
        ("Machine", "A, 2 cores, Python 3.11"),
        ("Device", "cpu"),
        ("vetime-plugins", "0.1.0"),
        ("Packages", "numpy 2"),
    ]
    other = found[0].replace(hardware={"cpu": "B"}, detector="b")
    assert ("Machine", "2 different ones") in describe_run(build_board([*found, other], missing="zero"))
    older = [found[0].replace(detector=name, date="", hardware={}) for name in ("b", "c")]
    facts = describe_run(build_board([*found, *older], missing="zero"))
    assert ("Run", "2025-01-01 to 2025-01-03; not recorded of 2 detectors") in facts
    assert ("Machine", "A, 2 cores, Python 3.11; not recorded of 2 detectors") in facts
    facts = dict(describe_run(build_board(older)))
    assert facts["Machine"] == "not recorded"
    assert "Run" not in facts


def test_one_model_under_several_names_is_one_row(tmp_path):
    found = cells(5, vetime_pyod=0.5, vetime_darts=0.5, other=0.4)
    kept, merged = group_detectors(found)
    assert merged == {"vetime-pyod": ["vetime-darts"]}
    assert {one.detector for one in kept} == {"vetime-pyod", "other"}
    analysis, text, page = report(write(tmp_path / "r", found), against="vetime-darts")
    assert analysis.reference == "vetime-pyod"
    assert page.column("Detectors by VUS-PR", "detector") == ["vetime-pyod", "vetime-darts", "other"]
    assert page.column("Detectors by VUS-PR", "place") == ["1", "", "2"]  # the second stands below the first
    assert page.column("VUS-PR by data set", "detector") == ["vetime-pyod", "other", "series"]
    assert text.count('class="of-darts member" data-of="vetime-pyod"') == 1
    apart = report(tmp_path / "r", merge=False)[2]
    assert len(apart.table("Detectors by VUS-PR")["rows"]) == 3


def test_what_may_be_chance_or_failure_stays_apart():
    assert group_detectors(cells(4, a=0.5, b=0.5))[1] == {}
    failed = [one.replace(status="ERROR", error="no") for one in cells(5, a=0.5, b=0.5)]
    assert group_detectors(failed)[1] == {}
    assert group_detectors(cells(6, a=0.5)[:5] + cells(5, b=0.5))[1] == {"a": ["b"]}
    assert group_detectors(cells(6, a=0.5) + cells(5, b=0.5))[1] == {}


@pytest.mark.parametrize(("n_series", "sure"), [(4, False), (5, True)])
def test_few_series_have_no_colours_of_significance(tmp_path, n_series, sure):
    analysis, text, _ = report(
        write(tmp_path / "r", cells(n_series, a=0.9, b=0.1)), markdown=tmp_path / "t.md"
    )
    (difference,) = analysis.differences.values()
    assert difference.high < 0  # the interval is above or below 0 in any case
    assert ('class="number bad">-80.0' in text.replace(' data-value="-0.8"', "")) is sure
    assert ("no difference is marked as sure" in text) is not sure
    assert ("no difference is sure" in (tmp_path / "t.md").read_text(encoding="utf-8")) is not sure
    figure = text[text.index('aria-label="Differences in') :].partition("</svg>")[0]
    assert ('"worse"' in figure) is sure
    assert ("cannot be told apart at" in text) is sure
    assert ('class="joined"' in text) is sure
    assert ("lost; p = " in text) is sure
    assert bool(re.search('class="number (win|loss)"', text)) is sure


def test_the_page_shows_what_was_seen_and_by_whom(tmp_path):
    found = [
        *cells(5, sub_knn=0.5),
        *(cell("mine", 0.4, n, framework="<b>", tuned_on=("UCR",)) for n in range(5)),
    ]
    _, text, page = report(write(tmp_path / "r", found), markdown=tmp_path / "t.md")
    assert page.column("Detectors by VUS-PR", "framework") == ["vetime_plugins", "<b>"]
    assert page.column("Detectors by VUS-PR", "seen") == ["no", "tuned on 1 tuned on UCR"]
    assert "<b>" not in text
    markdown = squeeze((tmp_path / "t.md").read_text(encoding="utf-8"))
    assert "Detectors that have seen these data: mine (tuned on UCR)." in markdown


def test_colours_of_frameworks_are_the_same_in_tables_and_figures(tmp_path):
    found = cells(5, pyod_knn=0.5, darts_knn=0.4, mine=0.3)
    found = [one.replace(score_seconds=0.1 + number) for number, one in enumerate(found)]
    _, text, page = report(write(tmp_path / "r", found))
    style = resources.files("vetime_plugins.leaderboard.report").joinpath("assets/report.css").read_text()
    for name, color in FRAMEWORKS.items():
        assert f".of-{name} {{ --of: {color}; }}" in style
    figure = text[text.index('aria-label="VUS-PR against') :].partition("</svg>")[0]
    assert {name for name in (*FRAMEWORKS, "other") if f'"mark of-{name}"' in figure} == {
        "pyod",
        "darts",
        "other",
    }
    assert ">pyod<" in figure  # the legend
    assert page.column("Detectors by VUS-PR", "framework") == ["pyod", "darts", "-"]
    assert 'class="of-pyod" data-of="pyod-knn"' in text
