"""Detectors that crash, hang, leak, print, spawn and change things: a row for each, and the run goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import time

import numpy as np
import pytest

from tests.detectors.test_isolation import gone
from tests.leaderboard.test_runner import data, lines, log, task  # noqa: F401 (fixtures)
from vetime_plugins.cli import main
from vetime_plugins.leaderboard.export import read_cells as read_table
from vetime_plugins.leaderboard.export import write_cells
from vetime_plugins.leaderboard.results import load_scores, read_cells
from vetime_plugins.leaderboard.runner import run_task

pytest.importorskip("psutil")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and forks of POSIX")

HERE = "tests.leaderboard._misbehaving"
BASE = "tests.leaderboard._detectors:Base"

# What the row of each says: its status, and its reason or a part of it.
ENDS = {
    "aborts": ("ERROR", "the process ended with the signal SIGABRT"),
    "exits": ("ERROR", "the process ended with the status 0"),
    "exits_politely": ("ERROR", "SystemExit: no more of this"),
    "exits_oddly": ("ERROR", "SystemExit: 1099511627776"),
    "interrupts": ("ERROR", "KeyboardInterrupt"),
    "dies_of_an_odd_signal": ("ERROR", "the process ended with the signal 40"),
    "is_terminated": ("ERROR", "the process ended with the signal SIGTERM"),
    "waits_for_its_thread": ("ERROR", "the process ended with an unknown status"),
    "recurses": ("ERROR", "RecursionError: maximum recursion depth exceeded"),
    "floods": ("OK", ""),
    "floods_and_dies": ("ERROR", "the process ended with the signal SIGABRT"),
    "writes_below_python": ("OK", ""),
    "raises_untold": ("ERROR", "UntoldError: <exception str() failed>"),
    "raises_much": ("ERROR", "much much"),
    "raises_control": ("ERROR", "<script>"),
    "raises_without_folder": ("ERROR", "ValueError: where am I"),
    "raises_with_an_odd_path": ("ERROR", "ValueError: odd path"),
    "short": ("ERROR", "scores of the shape (400,), got (399,)"),
    "empty": ("ERROR", "scores of the shape (400,), got (0,)"),
    "number": ("ERROR", "scores of the shape (400,), got ()"),
    "columns": ("ERROR", "scores of the shape (400,), got (400, 1)"),
    "nan": ("ERROR", "400 of 400 scores are not finite"),
    "infinite": ("ERROR", "1 of 400 scores are not finite"),
    "enormous": ("ERROR", "400 of 400 scores are not finite"),
    "imaginary": ("ERROR", "real numbers as scores, got the dtype complex128"),
    "strings": ("ERROR", "real numbers as scores, got the dtype <U3"),
    "dates": ("ERROR", "real numbers as scores, got the dtype datetime64[s]"),
    "objects": ("ERROR", "real numbers as scores: float() argument"),
    "ragged": ("ERROR", "inhomogeneous"),
    "generator": ("ERROR", "real numbers as scores: float() argument"),
    "masked": ("ERROR", "a score for every point, got 99 masked ones"),
    "whole_numbers": ("OK", ""),
    "half": ("OK", ""),
    "number_objects": ("OK", ""),
    "nothing_masked": ("OK", ""),
    "changes_its_input": ("OK", ""),
    "leaves_a_child": ("OK", ""),
    "leaves_a_session": ("OK", ""),
    "leaves_a_daemon": ("OK", ""),
    "dies_before_its_daemon": ("ERROR", "the process ended with the signal SIGABRT"),
    "dies_before_its_fork": ("ERROR", "the process ended with the status 7"),
    "comes_back_twice": ("OK", ""),
    "leaves_workers": ("OK", ""),
}


def run(task, out, *names):  # noqa: F811
    """Run detectors, and one that behaves after them in the same process; return their cells by name."""
    chosen = [*(f"{HERE}:{name}" for name in names), BASE]
    report = run_task(task, out, detectors=chosen, limit=1)
    assert report.n_run == len(chosen)
    assert run_task(task, out, detectors=chosen, limit=1).n_run == 0  # the folder goes on
    return {cell.detector: cell for cell in report.cells}


@pytest.mark.parametrize("name", ENDS)
def test_the_row_says_what_happened_and_the_run_goes_on(task, tmp_path, log, name):  # noqa: F811
    no_limit = dataclasses.replace(task, time_limit=None)
    found = run(no_limit, tmp_path / "out", name)
    cell, (status, reason) = found[name], ENDS[name]
    assert cell.status == status, cell.error
    assert reason in cell.reason
    assert len(cell.reason) <= 300
    assert cell.reason.isprintable()
    assert len(cell.error or "") < 25_000
    assert found["base"].status == "OK"
    scores = load_scores(tmp_path / "out", found["base"])
    series = np.load(tmp_path / "out" / "_series" / f"{cell.series}.npz")
    values = series["values"][:, 0]
    np.testing.assert_array_equal(scores, np.abs(values - np.median(values[:100]))[100:])
    assert all(gone(int(pid)) for (pid,) in lines(log))
    table = write_cells(tmp_path / "cells.csv", list(found.values()))
    assert [one.reason for one in read_table(table)] == [
        one.reason for one in sorted(found.values(), key=lambda one: one.detector)
    ]


@pytest.mark.parametrize("name", ["hangs_deaf", "stops"])
def test_what_hangs_is_stopped(task, tmp_path, name):  # noqa: F811
    found = run(dataclasses.replace(task, time_limit=1.0), tmp_path, name)
    assert found[name].status == "TIMEOUT"
    assert found[name].reason == "stopped while scoring, after the time limit of 1 s"
    assert found["base"].status == "OK"


@pytest.mark.parametrize("name", ["leaks", "leaks_in_a_child"])
def test_what_leaks_is_stopped(task, tmp_path, log, name):  # noqa: F811
    found = run(dataclasses.replace(task, memory_limit=400 * 2**20), tmp_path / "out", name)
    assert found[name].status == "OOM"
    assert "above the memory limit of 400 MiB" in found[name].reason
    assert found["base"].status == "OK"
    assert all(gone(int(pid)) for (pid,) in lines(log))


def test_a_flood_takes_no_memory_and_no_disk(task, tmp_path, monkeypatch):  # noqa: F811
    psutil = pytest.importorskip("psutil")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    own = psutil.Process()
    run(task, tmp_path / "before", "writes_below_python")
    before, begin = own.memory_info().rss, time.monotonic()
    run(task, tmp_path / "out", "floods")
    assert own.memory_info().rss - before < 20 * 2**20
    assert time.monotonic() - begin < 60
    assert not list((tmp_path / "tmp").iterdir())


def test_what_a_detector_changes_is_put_back(task, tmp_path, log):  # noqa: F811
    run(task, tmp_path / "alone", "loads_torch", "looks_around")
    run(task, tmp_path / "after", "changes_all_it_can", "looks_around")
    assert {cell.status for cell in read_cells(tmp_path / "after")} == {"OK"}
    alone, after = map(json.loads, log.read_text().splitlines())
    assert after == alone


def test_what_an_earlier_detector_did_counts_for_no_later_one(task, tmp_path):  # noqa: F811
    found = run(task, tmp_path, "leaves_a_time_bomb", "waits_for_the_bomb")
    assert {cell.status for cell in found.values()} == {"OK"}


def test_the_command_shows_each_failure_in_a_line(data, tmp_path, log, capfd):  # noqa: F811
    names = ["floods_and_dies", "raises_control", "raises_much", "writes_below_python", "exits_politely"]
    chosen = ",".join(f"{HERE}:{name}" for name in names)
    arguments = ["leaderboard", "run", "tsb-ad", "--data", str(data), "--out", str(tmp_path / "out")]
    arguments += ["--metric", "VUS-PR", "--series", "001_A*", "--detectors", chosen]
    assert main(arguments) == 3
    printed = capfd.readouterr()
    assert len(printed.err.splitlines()) == 5
    assert all(line.isprintable() and len(line) < 400 for line in printed.err.splitlines())
    assert main(["leaderboard", "report", str(tmp_path / "out"), "--out", str(tmp_path / "page.html")]) == 0
    assert "noise" not in printed.out
