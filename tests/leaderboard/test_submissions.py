"""Detectors that others add: every folder is whole, and what is wrong with one is said."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from vetime_plugins.cli import main
from vetime_plugins.detectors.specs import choose
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.export import read_cells, write_cells
from vetime_plugins.leaderboard.submissions import check_submission

SUBMISSIONS = Path(__file__).parents[2] / "benchmarks" / "submissions"
TEMPLATE = SUBMISSIONS / "template"


@pytest.mark.parametrize("folder", sorted(SUBMISSIONS.glob("*/")), ids=lambda folder: folder.name)
def test_every_submission_is_whole(folder, capsys):
    assert main(["leaderboard", "check", str(folder)]) == 0
    assert "series of the task" in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(TEMPLATE, tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return DistanceToLocalMedian()", "return 3", r"make\(\) must return a detector"),
        ("return distance.max(axis=1)", "return -distance.max(axis=1)", "higher must mean more anomalous"),
        (
            "return distance.max(axis=1)",
            "return distance.max(axis=1)[1:]",
            r"one a point \(600,\); got \(599,\)",
        ),
        ("return distance.max(axis=1)", "return np.full(len(series), np.nan)", "scores must be finite"),
        (
            "return distance.max(axis=1)",
            "return np.random.default_rng().random(len(series))",
            "the same seed must give the same scores",
        ),
        ("series = np", "values[0] = 9\n        series = np", "changes the series"),
        ("    tuned_on: ClassVar[tuple[str, ...]] = ()", "", "must name in tuned_on the data sets"),
        (
            "tuned_on: ClassVar[tuple[str, ...]] = ()",
            'tuned_on = ("UCR",)',
            "said something else in tuned_on",
        ),
        ('name = "distance-', 'name = "new-', "holds the cells of distance-to-local-median, but"),
        ("import numpy as np", "import nothing_of_that_name", "does not run:\\n.*No module named"),
    ],
)
def test_what_is_wrong_with_the_code_is_said(folder, old, new, says):
    code = folder / "my_detector.py"
    text = code.read_text(encoding="utf-8")
    assert old in text
    code.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match="(?s)" + says):
        check_submission(folder)


def test_what_is_wrong_with_the_results_is_said(folder):
    table = folder / "generated.csv"
    cells = read_cells(table)
    for bad, says in (
        (cells[1:], "lacks 1 of 72 series, e.g. amplitude.demand.n1"),
        ([*cells, cells[0]], "holds a series twice"),
        ([cells[0].replace(task="other"), *cells[1:]], "one detector and one task"),
        ([one.replace(metrics={"VUS-PR": 1.0}) for one in cells], "lacks the metrics VUS-ROC, AUC-ROC"),
    ):
        write_cells(table, bad)
        with pytest.raises(InputError, match=says):
            check_submission(folder)
    table.unlink()
    with pytest.raises(InputError, match="has no results; make some with"):
        check_submission(folder)
    (folder / "README.md").unlink()
    with pytest.raises(InputError, match=r"has no README\.md"):
        check_submission(folder)


def test_a_file_in_the_current_folder_is_found(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(folder))])
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "my_detector", raising=False)
    (chosen,) = choose(["my_detector:make"])
    assert chosen.name == "distance-to-local-median"
    assert sys.path[-1] == str(folder)
    monkeypatch.delitem(sys.modules, "my_detector")


def test_what_detectors_have_seen():
    ours, own, other = (
        choose([name])[0].detector for name in ("vetime", 'vetime(weights="mine")', "vetime(correction=0)")
    )
    assert "generated" in ours.trained_on
    assert "UCR" in ours.tuned_on
    assert (own.trained_on, own.tuned_on) == (None, None)  # nobody knows
    assert other.tuned_on == ours.tuned_on
    assert choose(["sub-knn"])[0].detector.tuned_on == ()
