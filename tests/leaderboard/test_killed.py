"""``kill -9`` of a leaderboard or of one of its detectors' processes, at moments drawn at random."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.detectors.test_isolation import gone
from tests.leaderboard.test_runner import data  # noqa: F401 (fixture)
from vetime_plugins.leaderboard.export import read_cells as read_table
from vetime_plugins.leaderboard.export import write_cells
from vetime_plugins.leaderboard.results import load_scores, read_cells

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

DETECTORS = "random,tests.leaderboard._detectors:Naps,tests.leaderboard._detectors:Seeded,moving-variance"
MANY = [pytest.param(number, marks=pytest.mark.slow) for number in range(1, 10)]


def start(data: Path, out: Path) -> subprocess.Popen:  # noqa: F811
    command = [sys.executable, "-m", "vetime_plugins", "leaderboard", "run", "tsb-ad", "--data", str(data)]
    command += ["--out", str(out), "--detectors", DETECTORS, "--metric", "VUS-PR", "--quiet", "--jobs", "2"]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")


def what_is_told(out: Path) -> list:
    """Return the exported cells without their times, and the scores of each."""
    cells = read_cells(out)
    table = read_table(write_cells(out.with_suffix(".csv"), cells))
    same = {"fit_seconds": 0.0, "score_seconds": 0.0, "date": ""}
    return [(one.replace(**same), load_scores(out, one).tolist()) for one in table]


@pytest.mark.parametrize("number", [0, *MANY])
@pytest.mark.parametrize("victim", ["runner", "worker"])
def test_a_folder_is_as_if_nothing_had_happened(data, tmp_path, victim, number):  # noqa: F811
    began = time.monotonic()
    finish(start(data, tmp_path / "whole"))
    lasts = time.monotonic() - began
    drawn = random.Random(f"{victim} {number}")
    process = start(data, tmp_path / "cut")
    time.sleep(drawn.uniform(0.1, 0.95) * lasts)
    with suppress(psutil.NoSuchProcess):  # it may have been faster this time
        family = psutil.Process(process.pid).children(recursive=True)
        if victim == "worker" and family:
            drawn.choice(family).kill()
        elif victim == "runner":
            process.kill()
            process.communicate()
            assert all(gone(one.pid) for one in family)
    if victim == "worker":
        finish(process)
    elif (tmp_path / "cut").exists():
        for cell in read_cells(tmp_path / "cut"):  # whole, and none without its scores
            assert cell.status == "OK"
            load_scores(tmp_path / "cut", cell)
    finish(start(data, tmp_path / "cut"))
    assert what_is_told(tmp_path / "cut") == what_is_told(tmp_path / "whole")
    assert not list((tmp_path / "cut").rglob(".*.tmp"))
